// Every statement locks the rows of an email address from the smallest network to the largest, so that no two transactions deadlock.
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, queryRows, type RowOf, sql, type SqlFragment } from '../../platform/sql.ts';

/** A network whose attempts count together, and the number of consecutive failures that locks the address for this network. */
export interface LockoutScope {
  network: string;
  maxFailures: number;
}

/** What a password attempt counts for. */
export interface LockoutKey {
  /** HMAC of the canonical email address, whether or not an account has it. */
  emailHmac: Uint8Array;
  /** The networks that contain the client, from the smallest to `allNetworks`. */
  scopes: readonly LockoutScope[];
  /** How long a lockout lasts and failures are remembered, counted from the last attempt. */
  durationSeconds: number;
}

/** The `network` of the row that counts attempts from all networks. */
export const allNetworks = '*';

/** Longer than an attempt takes. An attempt without an outcome by then counts as failed, because its process died. */
const maxAttemptDuration = sql`interval '1 minute'`;

const networksOf = ({ scopes }: LockoutKey): string[] => scopes.map(({ network }) => network);

const isExpired = ({ durationSeconds }: LockoutKey): SqlFragment =>
  sql`l.last_attempt_at + make_interval(secs => ${durationSeconds}) <= clock_timestamp()`;

const maxFailures = ({ scopes }: LockoutKey): SqlFragment => sql`
  (${scopes.map((scope) => scope.maxFailures)}::int[])[
    array_position(${scopes.map(({ network }) => network)}::text[], l.network)]`;

const lockRows = ({ emailHmac }: LockoutKey, networks: readonly string[]): SqlFragment => sql`
  SELECT l.network FROM lockouts AS l
  WHERE l.email_hmac = ${emailHmac} AND l.network = ANY (${networks}::text[])
  ORDER BY array_position(${networks}::text[], l.network) FOR UPDATE`;

const attemptColumns = { network: column.text(), attempts: column.integer };

/**
 * Counts an attempt for each network that is not at its limit, or for none if one of them was at its limit before. Returns the
 * networks that counted it, and which attempt since the last success it is there. SQL because one execution decides which concurrent
 * attempts start.
 */
export function startAttempt(tx: Transaction, key: LockoutKey): Promise<RowOf<typeof attemptColumns>[]> {
  const { emailHmac } = key;
  const networks = networksOf(key);
  return queryRows(
    tx,
    attemptColumns,
    sql`
    INSERT INTO lockouts AS l (email_hmac, network, attempts, failures, last_attempt_at)
    SELECT ${emailHmac}::bytea, network, 1, 0, clock_timestamp()
    FROM unnest(${networks}::text[]) WITH ORDINALITY AS scopes(network, position)
    WHERE NOT EXISTS (
      SELECT FROM lockouts AS l
      WHERE l.email_hmac = ${emailHmac} AND l.network = ANY (${networks}::text[])
        AND l.attempts >= ${maxFailures(key)} AND NOT ${isExpired(key)})
    ORDER BY position
    ON CONFLICT (email_hmac, network) DO UPDATE SET
      attempts = CASE WHEN ${isExpired(key)} THEN 1 ELSE l.attempts + 1 END,
      failures = CASE WHEN ${isExpired(key)} THEN 0 ELSE l.failures END,
      last_attempt_at = clock_timestamp()
    WHERE l.attempts < ${maxFailures(key)} OR ${isExpired(key)}
    RETURNING l.network, l.attempts`,
  );
}

/** Takes back an attempt that never compared a password. SQL because each row decides whether its failures allow it. */
export const undoAttempt = (tx: Transaction, key: LockoutKey, networks: readonly string[]): Promise<number> =>
  execute(
    tx,
    sql`
    WITH locked AS (${lockRows(key, networks)})
    UPDATE lockouts AS l SET attempts = l.attempts - 1 FROM locked
    WHERE l.email_hmac = ${key.emailHmac} AND l.network = locked.network AND l.attempts > l.failures`,
  );

/** The seconds until an address is unlocked for all of the networks; undefined if it is not locked. SQL for the database's clock. */
export async function findLockoutSeconds(tx: Transaction, key: LockoutKey): Promise<number | undefined> {
  const row = await queryRow(
    tx,
    { seconds: column.nullable(column.integer) },
    sql`
    SELECT CEIL(EXTRACT(EPOCH FROM max(l.last_attempt_at) - clock_timestamp()))::int + ${key.durationSeconds}::int AS seconds
    FROM lockouts AS l
    WHERE l.email_hmac = ${key.emailHmac} AND l.network = ANY (${networksOf(key)}::text[]) AND NOT ${isExpired(key)}
      AND l.attempts >= ${maxFailures(key)}
      AND (l.failures >= ${maxFailures(key)} OR l.last_attempt_at < clock_timestamp() - ${maxAttemptDuration})`,
  );
  return row?.seconds ?? undefined;
}

const failureColumns = { network: column.text(), failures: column.integer };

/** Counts a failure and returns the new counts by network. SQL because one execution decides which failure reaches a limit. */
export const addFailure = (tx: Transaction, key: LockoutKey): Promise<RowOf<typeof failureColumns>[]> =>
  queryRows(
    tx,
    failureColumns,
    sql`
    WITH locked AS (${lockRows(key, networksOf(key))})
    UPDATE lockouts AS l SET failures = LEAST(l.attempts, l.failures + 1) FROM locked
    WHERE l.email_hmac = ${key.emailHmac} AND l.network = locked.network
    RETURNING l.network, l.failures`,
  );

/** Clears the failures from the networks after a correct password. SQL for the order of the row locks. */
export async function clearFailures(tx: Transaction, key: LockoutKey): Promise<void> {
  await execute(
    tx,
    sql`
    WITH locked AS (${lockRows(key, networksOf(key))})
    DELETE FROM lockouts AS l USING locked WHERE l.email_hmac = ${key.emailHmac} AND l.network = locked.network`,
  );
}

/** Clears the failures from everywhere. SQL for the order of the row locks: the longest network prefix is the smallest network. */
export async function clearLockouts(tx: Transaction, emailHmac: Uint8Array): Promise<void> {
  await execute(
    tx,
    sql`
    WITH locked AS (
      SELECT network FROM lockouts WHERE email_hmac = ${emailHmac}
      ORDER BY CASE network WHEN ${allNetworks} THEN 0 ELSE split_part(network, '/', 2)::int END DESC FOR UPDATE)
    DELETE FROM lockouts AS l USING locked WHERE l.email_hmac = ${emailHmac} AND l.network = locked.network`,
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
