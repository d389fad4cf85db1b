import type { EmailId, OneTimeTokenId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, type RowOf, sql } from '../../platform/sql.ts';

const dueColumns = {
  id: column.uuid<EmailId>(),
  kind: column.text(),
  tokenId: column.nullable(column.uuid<OneTimeTokenId>()),
  sealed: column.bytea,
  masterKeyId: column.text(),
  attempts: column.integer,
};

/** An email or request that is due. `attempts` identifies the attempt that holds it. */
export type DueEmail = RowOf<typeof dueColumns>;

const returnedColumns = sql`
  id, kind, token_id AS "tokenId", payload AS sealed, master_key_id AS "masterKeyId", attempts`;

const isWaiting = sql`sent_at IS NULL AND failed_at IS NULL`;

/** The one that has been due for longest. Skips those that another process holds. */
const nextDue = (stage: 'asked' | 'written', isUrgent: boolean) => sql`
  (SELECT id FROM mails
   WHERE stage = ${stage} AND is_urgent = ${isUrgent} AND ${isWaiting} AND due_at <= statement_timestamp()
   ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)`;

/** Urgent ones come first. Two subqueries, so that neither reads the rows of the other. */
const nextDueByUrgency = (stage: 'asked' | 'written', urgentOnly: boolean) =>
  urgentOnly ? nextDue(stage, true) : sql`COALESCE(${nextDue(stage, true)}, ${nextDue(stage, false)})`;

/**
 * Claims the next email, or the next urgent one, for `leaseSeconds`. If its process dies, the email is due again afterwards. SQL
 * because one execution decides which process claims it.
 */
export const claimEmail = (
  tx: Transaction,
  { leaseSeconds, urgentOnly }: { leaseSeconds: number; urgentOnly: boolean },
): Promise<DueEmail | undefined> =>
  queryRow(
    tx,
    dueColumns,
    sql`
    UPDATE mails SET attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    WHERE id = ${nextDueByUrgency('written', urgentOnly)} RETURNING ${returnedColumns}`,
  );

/** Deletes and returns the next request, or the next urgent one. SQL because one execution decides which process takes it. */
export const takeRequest = (tx: Transaction, { urgentOnly }: { urgentOnly: boolean }): Promise<DueEmail | undefined> =>
  queryRow(
    tx,
    dueColumns,
    sql`DELETE FROM mails WHERE id = ${nextDueByUrgency('asked', urgentOnly)} RETURNING ${returnedColumns}`,
  );

/** Erases an email that was sent, even if its lease has expired. SQL for the database's clock. */
export const markSent = (tx: Transaction, id: EmailId): Promise<number> =>
  execute(
    tx,
    sql`
    UPDATE mails SET sent_at = clock_timestamp(), payload = NULL, failed_at = NULL, last_fault = NULL
    WHERE id = ${id}::uuid AND sent_at IS NULL`,
  );

export interface FailedAttempt {
  error: string;
  delaySeconds: number;
  /** Emails fail after a day, but not before this number of attempts: perhaps no process was running that day. */
  minAttempts: number;
}

/**
 * Schedules the next attempt, or marks the email as failed after a day. Returns no row if another process has claimed
 * or sent the email since. `attempts` includes the failed attempt; for a request, the transaction that counted it was rolled
 * back. SQL because one execution decides whether this process still has the lease of the email.
 */
export const postponeEmail = (tx: Transaction, { id, attempts }: DueEmail, attempt: FailedAttempt) => {
  const { error, delaySeconds, minAttempts } = attempt;
  return queryRow(
    tx,
    { hasFailed: column.boolean },
    sql`
    UPDATE mails SET attempts = ${attempts}::int, last_fault = ${error},
      due_at = clock_timestamp() + make_interval(secs => ${delaySeconds}),
      failed_at = CASE WHEN created_at < clock_timestamp() - interval '1 day' AND ${attempts}::int >= ${minAttempts}::int
                  THEN clock_timestamp() END
    WHERE id = ${id}::uuid AND attempts IN (${attempts}::int, ${attempts}::int - 1) AND ${isWaiting}
    RETURNING failed_at IS NOT NULL AS "hasFailed"`,
  );
};

/** Lets one transaction at a time decide whether a recipient can receive another email. SQL for the advisory lock. */
export const lockRecipient = (tx: Transaction, recipient: Uint8Array): Promise<number> =>
  execute(tx, sql`SELECT FROM pg_advisory_xact_lock(hashtextextended(encode(${recipient}::bytea, 'hex'), 5418219034))`);

const recentColumns = { total: column.integer, toAddress: column.integer };

/** The number of emails of these kinds to a recipient in the past hour, and to one of its addresses. SQL for the database's clock. */
export async function countRecentEmails(
  tx: Transaction,
  { recipient, address, kinds }: { recipient: Uint8Array; address: Uint8Array; kinds: readonly string[] },
): Promise<RowOf<typeof recentColumns>> {
  const row = await queryRow(
    tx,
    recentColumns,
    sql`
    SELECT count(*)::int AS total, (count(*) FILTER (WHERE recipient = ${address} OR address = ${address}))::int AS "toAddress"
    FROM mails
    WHERE recipient = ${recipient} AND kind = ANY (${kinds}) AND created_at > statement_timestamp() - interval '1 hour'`,
  );
  return row ?? { total: 0, toAddress: 0 };
}

const backlogColumns = { count: column.integer, oldestSeconds: column.double };
export type Backlog = RowOf<typeof backlogColumns>;

/** The number of waiting emails and the age of the oldest. SQL for the database's clock. */
export const readBacklog = (tx: Transaction): Promise<Backlog | undefined> =>
  queryRow(
    tx,
    backlogColumns,
    sql`
    SELECT count(*)::int AS count,
           COALESCE(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS "oldestSeconds"
    FROM mails WHERE ${isWaiting}`,
  );

/** Makes failed emails due again, with a new set of attempts. SQL for the database's clock. */
export const retryFailedEmails = (tx: Transaction): Promise<number> =>
  execute(
    tx,
    sql`
    UPDATE mails SET failed_at = NULL, attempts = 0, due_at = clock_timestamp()
    WHERE failed_at IS NOT NULL AND sent_at IS NULL`,
  );

/**
 * Deletes up to `batch` emails that were sent 30 days ago, and as many that failed. Returns the larger number. SQL for the
 * set-based deletion; two processes delete different rows.
 */
export async function purgeEmails(tx: Transaction, batch: number): Promise<number> {
  const sent = await execute(
    tx,
    sql`
    DELETE FROM mails WHERE id IN (
      SELECT id FROM mails WHERE sent_at < statement_timestamp() - interval '30 days'
      ORDER BY sent_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
  );
  const failed = await execute(
    tx,
    sql`
    DELETE FROM mails WHERE id IN (
      SELECT id FROM mails WHERE failed_at < statement_timestamp() - interval '30 days'
      ORDER BY failed_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
  );
  return Math.max(sent, failed);
}
