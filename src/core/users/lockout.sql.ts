// Every statement locks the row of the network before the row of all networks, so that no two transactions deadlock.
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, sql, type SqlFragment } from '../../platform/sql.ts';

export interface LockoutLimits {
  /** Consecutive failures from one network that lock the address for this network. */
  attempts: number;
  /** Consecutive failures from all networks that lock the address everywhere. */
  total: number;
  /** How long a lockout lasts and failures are remembered, counted from the last attempt. */
  durationSeconds: number;
}

/** The address that a password is tried for, and the client's network. */
export interface LockoutKey {
  /** HMAC of the canonical email address, whether or not an account has it. */
  emailHmac: Uint8Array;
  network: string;
}

/** The `network` of the row that counts attempts from all networks. */
const anywhere = '*';

/** Longer than an attempt takes. An attempt without an outcome by then counts as failed, because its process died. */
const maxAttemptDuration = sql`interval '1 minute'`;

const isExpired = (durationSeconds: number): SqlFragment =>
  sql`l.last_attempt_at + make_interval(secs => ${durationSeconds}) <= clock_timestamp()`;

const countAttempt = (maxAttempts: number, durationSeconds: number): SqlFragment => sql`
  ON CONFLICT (email_hmac, network) DO UPDATE SET
    attempts = CASE WHEN ${isExpired(durationSeconds)} THEN 1 ELSE l.attempts + 1 END,
    failures = CASE WHEN ${isExpired(durationSeconds)} THEN 0 ELSE l.failures END,
    last_attempt_at = clock_timestamp()
  WHERE l.attempts < ${maxAttempts} OR ${isExpired(durationSeconds)}
  RETURNING 1`;

/** Counts an attempt in both rows if neither is at its limit. SQL because one execution decides which concurrent attempts start. */
export async function startAttempt(
  tx: Transaction,
  { emailHmac, network }: LockoutKey,
  { attempts, total, durationSeconds }: LockoutLimits,
): Promise<{ network: boolean; anywhere: boolean }> {
  const started = await queryRow(
    tx,
    { network: column.boolean, anywhere: column.boolean },
    sql`
    WITH network AS (
      INSERT INTO lockouts AS l (email_hmac, network, attempts, failures, last_attempt_at)
      VALUES (${emailHmac}, ${network}, 1, 0, clock_timestamp()) ${countAttempt(attempts, durationSeconds)}
    ), anywhere AS (
      INSERT INTO lockouts AS l (email_hmac, network, attempts, failures, last_attempt_at)
      SELECT ${emailHmac}::bytea, ${anywhere}, 1, 0, clock_timestamp() FROM network ${countAttempt(total, durationSeconds)}
    )
    SELECT EXISTS (SELECT FROM network) AS network, EXISTS (SELECT FROM anywhere) AS anywhere`,
  );
  return started ?? { network: false, anywhere: false };
}

/** Takes back an attempt that never compared a password. SQL because the row decides whether its failures allow it. */
export const undoAttempt = (
  tx: Transaction,
  { emailHmac, network }: LockoutKey,
  scope: 'network' | 'anywhere',
): Promise<number> =>
  execute(
    tx,
    sql`
    UPDATE lockouts SET attempts = attempts - 1
    WHERE email_hmac = ${emailHmac} AND network = ${scope === 'network' ? network : anywhere} AND attempts > failures`,
  );

/** The seconds until an address is unlocked for a network; undefined if it is not locked. SQL for the database's clock. */
export async function findLockoutSeconds(
  tx: Transaction,
  { emailHmac, network }: LockoutKey,
  { attempts, total, durationSeconds }: LockoutLimits,
): Promise<number | undefined> {
  const row = await queryRow(
    tx,
    { seconds: column.nullable(column.integer) },
    sql`
    SELECT CEIL(EXTRACT(EPOCH FROM max(l.last_attempt_at) - clock_timestamp()))::int + ${durationSeconds}::int AS seconds
    FROM lockouts AS l,
      LATERAL (SELECT CASE l.network WHEN ${anywhere} THEN ${total}::int ELSE ${attempts}::int END) AS maximum(failures)
    WHERE l.email_hmac = ${emailHmac} AND l.network IN (${network}, ${anywhere}) AND NOT ${isExpired(durationSeconds)}
      AND l.attempts >= maximum.failures
      AND (l.failures >= maximum.failures OR l.last_attempt_at < clock_timestamp() - ${maxAttemptDuration})`,
  );
  return row?.seconds ?? undefined;
}

/** Counts a failure in both rows and returns the new counts. SQL because one execution decides which failure reaches the limit. */
export async function addFailure(
  tx: Transaction,
  { emailHmac, network }: LockoutKey,
): Promise<{ network: number | null; anywhere: number | null }> {
  const failures = await queryRow(
    tx,
    { network: column.nullable(column.integer), anywhere: column.nullable(column.integer) },
    sql`
    WITH network AS (
      UPDATE lockouts SET failures = LEAST(attempts, failures + 1)
      WHERE email_hmac = ${emailHmac} AND network = ${network} RETURNING failures
    ), anywhere AS (
      UPDATE lockouts SET failures = LEAST(attempts, failures + 1)
      WHERE email_hmac = ${emailHmac} AND network = ${anywhere} AND (SELECT count(*) FROM network) >= 0
      RETURNING failures
    )
    SELECT (SELECT failures FROM network) AS network, (SELECT failures FROM anywhere) AS anywhere`,
  );
  return failures ?? { network: null, anywhere: null };
}

/** Clears the failures from one network and the common count after a correct password. SQL for the order of the row locks. */
export async function clearFailures(tx: Transaction, { emailHmac, network }: LockoutKey): Promise<void> {
  await execute(
    tx,
    sql`
    WITH network AS (
      DELETE FROM lockouts WHERE email_hmac = ${emailHmac} AND network = ${network} RETURNING 1
    )
    DELETE FROM lockouts
    WHERE email_hmac = ${emailHmac} AND network = ${anywhere} AND (SELECT count(*) FROM network) >= 0`,
  );
}

/** Clears the failures from all networks. SQL for the order of the row locks: the index would return the common row first. */
export async function clearLockouts(tx: Transaction, emailHmac: Uint8Array): Promise<void> {
  await execute(
    tx,
    sql`
    WITH networks AS (DELETE FROM lockouts WHERE email_hmac = ${emailHmac} AND network <> ${anywhere} RETURNING 1)
    DELETE FROM lockouts
    WHERE email_hmac = ${emailHmac} AND network = ${anywhere} AND (SELECT count(*) FROM networks) >= 0`,
  );
}

/** Deletes up to `batch` expired rows and returns the number. SQL for the set-based deletion; two processes delete different rows. */
export const purgeLockouts = (tx: Transaction, durationSeconds: number, batch: number): Promise<number> =>
  execute(
    tx,
    sql`
    DELETE FROM lockouts WHERE (email_hmac, network) IN (
      SELECT email_hmac, network FROM lockouts
      WHERE last_attempt_at < statement_timestamp() - make_interval(secs => ${durationSeconds})
      ORDER BY last_attempt_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
  );
