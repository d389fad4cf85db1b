import type { EmailId, OneTimeTokenId } from '../../lib/ids.ts';
import { type Database, type Transaction } from '../../platform/postgres.ts';
import { sql } from '../../platform/sql.ts';

/** A mail whose turn it is. `attempts` counts this one, and says whose it is. */
export interface DueEmail {
  id: EmailId;
  kind: string;
  tokenId: OneTimeTokenId | null;
  sealed: Uint8Array;
  masterKeyId: string;
  attempts: number;
}

const dueColumns = sql`id, kind, token_id AS "tokenId", payload AS sealed, master_key_id AS "masterKeyId", attempts`;

const waits = sql`sent_at IS NULL AND failed_at IS NULL`;

/** The one that has been due for longest; what another process holds is passed over. */
const nextDue = (stage: 'asked' | 'written') => sql`
  SELECT id FROM mails WHERE stage = ${stage} AND ${waits} AND due_at <= statement_timestamp()
  ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED`;

/** Takes a letter for `leaseSeconds`: if it is not settled by then, as its process died, it is due again. */
export async function claimEmail(db: Database, leaseSeconds: number): Promise<DueEmail | undefined> {
  const [mail] = await db.$queryRaw<DueEmail[]>`
    UPDATE mails SET attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    WHERE id = (${nextDue('written')}) RETURNING ${dueColumns}`;
  return mail;
}

export type Answered = { kind: 'none' } | { kind: 'answered' } | { kind: 'failed'; mail: DueEmail; cause: unknown };

/** Takes what was asked, and answers it, or neither: of any number of processes, one does. */
export async function answerNext(
  db: Database,
  answer: (tx: Transaction, mail: DueEmail) => Promise<void>,
): Promise<Answered> {
  let taken: DueEmail | undefined;
  try {
    return await db.$transaction(async (tx) => {
      const [mail] = await tx.$queryRaw<DueEmail[]>`
        DELETE FROM mails WHERE id = (${nextDue('asked')}) RETURNING ${dueColumns}`;
      if (!mail) return { kind: 'none' };
      taken = mail;
      await answer(tx, mail);
      return { kind: 'answered' };
    });
  } catch (cause) {
    if (!taken) throw cause;
    return { kind: 'failed', mail: taken, cause };
  }
}

/** Erases what was sent. It was, even where the lease was over by then: nobody need send it again. */
export async function markSent(db: Database, id: EmailId): Promise<void> {
  await db.$executeRaw`
    UPDATE mails SET sent_at = clock_timestamp(), payload = NULL, failed_at = NULL, last_fault = NULL
    WHERE id = ${id}::uuid AND sent_at IS NULL`;
}

/** Attempts that every mail has, however long no process ran that could have made them. */
export const minAttempts = 10;

/**
 * Puts a mail off, or gives it up after a day; undefined where it is another's by now, or was sent. `attempts` counts the
 * one that failed; in the row of an ask it was rolled back with all else.
 */
export async function postponeEmail(
  db: Database,
  { id, attempts }: DueEmail,
  fault: string,
  seconds: number,
): Promise<'waits' | 'given up' | undefined> {
  const [mail] = await db.$queryRaw<{ isGivenUp: boolean }[]>`
    UPDATE mails SET attempts = ${attempts}::int, last_fault = ${fault},
      due_at = clock_timestamp() + make_interval(secs => ${seconds}),
      failed_at = CASE WHEN created_at < clock_timestamp() - interval '1 day' AND ${attempts}::int >= ${minAttempts}::int
                  THEN clock_timestamp() END
    WHERE id = ${id}::uuid AND attempts IN (${attempts}::int, ${attempts}::int - 1) AND ${waits}
    RETURNING failed_at IS NOT NULL AS "isGivenUp"`;
  return mail && (mail.isGivenUp ? 'given up' : 'waits');
}

/** A letter whose link was used or replaced meanwhile says nothing that is true. */
export async function deleteEmail(db: Database, id: EmailId): Promise<void> {
  await db.$executeRaw`DELETE FROM mails WHERE id = ${id}::uuid`;
}

export interface Waiting {
  count: number;
  oldestSeconds: number;
}

export async function readWaiting(db: Database): Promise<Waiting> {
  const [waiting] = await db.$queryRaw<Waiting[]>`
    SELECT count(*)::int AS count, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float AS "oldestSeconds"
    FROM mails WHERE ${waits}`;
  return waiting ?? { count: 0, oldestSeconds: 0 };
}

/** Deletes what was sent or given up 30 days ago, up to `batch` of each, and tells how many. Two processes take different rows. */
export async function purgeEmails(db: Database, batch: number): Promise<number> {
  const sent = await db.$executeRaw`
    DELETE FROM mails WHERE id IN (
      SELECT id FROM mails WHERE sent_at < statement_timestamp() - interval '30 days'
      ORDER BY sent_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
  const failed = await db.$executeRaw`
    DELETE FROM mails WHERE id IN (
      SELECT id FROM mails WHERE failed_at < statement_timestamp() - interval '30 days'
      ORDER BY failed_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
  return Math.max(sent, failed);
}
