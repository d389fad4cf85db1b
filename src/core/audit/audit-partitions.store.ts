import { type Database, type Transaction } from '../../platform/postgres.ts';
import { sql, type SqlFragment } from '../../platform/sql.ts';
import { recordUpkeep } from './audit.store.ts';

/** Of all processes one looks after the partitions. A number of our own, as advisory locks have no names. */
const lockKey = 1_632_003_429;

/** The month of an age: what is older than the age to its last moment lies before it. */
const monthOf = (ageSeconds: number): SqlFragment =>
  sql`date_trunc('month', (statement_timestamp() - make_interval(secs => ${ageSeconds})) AT TIME ZONE 'UTC')::date`;

/**
 * In a transaction that waits for no lock for long: who waits for the table holds up everybody behind. Undefined where
 * another process is at it.
 */
const alone = <Result>(db: Database, work: (tx: Transaction) => Promise<Result>): Promise<Result | undefined> =>
  db.$transaction(async (tx) => {
    await tx.$executeRaw`SET LOCAL lock_timeout = '200ms'`;
    const [lock] = await tx.$queryRaw<{ had: boolean }[]>`SELECT pg_try_advisory_xact_lock(${lockKey}::bigint) AS had`;
    return lock?.had ? work(tx) : undefined;
  });

/** The months from this one on, as numbers of months, that have no partition yet; and whether one is too old. */
export async function findTasks(
  db: Database,
  monthsAhead: number,
  retentionSeconds: number | undefined,
): Promise<{ missing: number[]; stale: boolean }> {
  const stale =
    retentionSeconds === undefined ? sql`false` : sql`audit_oldest(${monthOf(retentionSeconds)}) IS NOT NULL`;
  const [tasks] = await db.$queryRaw<{ missing: number[]; stale: boolean }[]>`
    SELECT ARRAY(
      SELECT ahead FROM generate_series(0, ${monthsAhead}::int) AS ahead
      WHERE to_regclass('audit_events_' || to_char(${monthOf(0)} + make_interval(months => ahead), 'YYYYMM')) IS NULL
      ORDER BY ahead) AS missing, ${stale} AS stale`;
  return tasks ?? { missing: [], stale: false };
}

/** Makes the partition of the month that begins so many months from this one, where there is none yet. */
export const openMonth = (db: Database, monthsAhead: number): Promise<void | undefined> =>
  alone(db, async (tx) => {
    await tx.$executeRaw`SELECT audit_open_month((${monthOf(0)} + make_interval(months => ${monthsAhead}::int))::date)`;
  });

/** Drops the oldest partition that is older than that as a whole, and tells its name; undefined where there is none. */
export const dropOldest = (db: Database, retentionSeconds: number): Promise<string | undefined> =>
  alone(db, async (tx) => {
    const [dropped] = await tx.$queryRaw<{ name: string | null }[]>`
      SELECT audit_drop_oldest(${monthOf(retentionSeconds)}) AS name`;
    if (!dropped?.name) return undefined;
    await recordUpkeep(tx, 'audit.retention', dropped.name);
    return dropped.name;
  });

/** Deletes what is personal of the months that are dropped, up to `batch` rows. Two processes take different rows. */
export async function purgeTraces(db: Database, retentionSeconds: number | undefined, batch: number): Promise<number> {
  if (retentionSeconds === undefined) return 0;
  return db.$executeRaw`
    DELETE FROM audit_personal_data WHERE event_id IN (
      SELECT event_id FROM audit_personal_data WHERE event_id < audit_first_id(${monthOf(retentionSeconds)})
      ORDER BY event_id LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
}
