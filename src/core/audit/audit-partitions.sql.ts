// SQL because the functions and the catalog of partitions are Postgres's own. docs/audit.md describes retention.
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, sql, type SqlFragment } from '../../platform/sql.ts';

/** Identifies the advisory lock that all processes share. The number is arbitrary. */
const lockKey = 1_632_003_429;

/** The first day of the month, in UTC, that contains the moment `ageSeconds` ago. All earlier months are entirely older. */
const monthAtAge = (ageSeconds: number): SqlFragment =>
  sql`date_trunc('month', (statement_timestamp() - make_interval(secs => ${ageSeconds})) AT TIME ZONE 'UTC')::date`;

/** Limits the time that the transaction waits for locks: statements queue behind a waiting `ALTER TABLE`. */
export const limitLockWait = (tx: Transaction): Promise<number> => execute(tx, sql`SET LOCAL lock_timeout = '200ms'`);

/** Locks the partitions until the transaction ends, or returns false if another process holds the lock. */
export async function tryLockPartitions(tx: Transaction): Promise<boolean> {
  const row = await queryRow(
    tx,
    { locked: column.boolean },
    sql`SELECT pg_try_advisory_xact_lock(${lockKey}::bigint) AS locked`,
  );
  return row?.locked === true;
}

/**
 * Takes the lock of `ATTACH PARTITION`, which blocks neither reads nor writes. Only a lock on the table makes this connection notice
 * a partition that another process has just created.
 */
export const lockTrail = (tx: Transaction): Promise<number> =>
  execute(tx, sql`LOCK TABLE ONLY audit_events IN SHARE UPDATE EXCLUSIVE MODE`);

const workColumns = { missingMonths: column.integerArray, hasExpired: column.boolean };

/** Finds the months without a partition, as offsets from the current month, and whether a partition has expired. */
export async function findPartitionWork(
  tx: Transaction,
  monthsAhead: number,
  retentionSeconds: number | undefined,
): Promise<{ missingMonths: number[]; hasExpired: boolean }> {
  const hasExpired =
    retentionSeconds === undefined ? sql`false` : sql`audit_oldest(${monthAtAge(retentionSeconds)}) IS NOT NULL`;
  const work = await queryRow(
    tx,
    workColumns,
    sql`
    SELECT ARRAY(
      SELECT ahead FROM generate_series(0, ${monthsAhead}::int) AS ahead
      WHERE to_regclass('audit_events_' || to_char(${monthAtAge(0)} + make_interval(months => ahead), 'YYYYMM')) IS NULL
      ORDER BY ahead) AS "missingMonths", ${hasExpired} AS "hasExpired"`,
  );
  return work ?? { missingMonths: [], hasExpired: false };
}

/** Creates the partition of the month that is `monthsAhead` months from the current one, unless it exists. */
export const createPartition = (tx: Transaction, monthsAhead: number): Promise<number> =>
  execute(
    tx,
    sql`SELECT FROM audit_open_month((${monthAtAge(0)} + make_interval(months => ${monthsAhead}::int))::date)`,
  );

/** Drops the oldest partition if all its events have expired, and returns its name. */
export async function dropOldestPartition(tx: Transaction, retentionSeconds: number): Promise<string | undefined> {
  const row = await queryRow(
    tx,
    { name: column.nullable(column.text()) },
    sql`SELECT audit_drop_oldest(${monthAtAge(retentionSeconds)}) AS name`,
  );
  return row?.name ?? undefined;
}

/** Deletes up to `batchSize` rows of personal data of expired events. Concurrent calls take different rows. */
export const deletePersonalData = (tx: Transaction, retentionSeconds: number, batchSize: number): Promise<number> =>
  execute(
    tx,
    sql`
    DELETE FROM audit_personal_data WHERE event_id IN (
      SELECT event_id FROM audit_personal_data WHERE event_id < audit_first_id(${monthAtAge(retentionSeconds)})
      ORDER BY event_id LIMIT ${batchSize} FOR UPDATE SKIP LOCKED)`,
  );
