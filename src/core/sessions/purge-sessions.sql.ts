import type { Database } from '../../platform/postgres.ts';
import { execute, sql } from '../../platform/sql.ts';

/** The columns with the time at which a session ended for good. Each has an index, which no rotation changes. */
const endColumns = [sql`absolute_expires_at`, sql`revoked_at`];

/**
 * Deletes sessions that ended for good more than a week ago, up to `batch` per end column, and returns the larger count.
 * During the week, late clients still learn why they were logged out. An idle session stays until its absolute expiry. SQL
 * for set-based work: SKIP LOCKED makes concurrent processes delete different rows, and `statement_timestamp()` instead of the
 * volatile `clock_timestamp()` allows the index to be used.
 */
export async function purgeSessions(db: Database, batch: number): Promise<number> {
  let maxDeleted = 0;
  for (const endedAt of endColumns) {
    const deleted = await execute(
      db,
      sql`
      DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE ${endedAt} < statement_timestamp() - interval '7 days'
        ORDER BY ${endedAt} LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
    );
    maxDeleted = Math.max(maxDeleted, deleted);
  }
  return maxDeleted;
}
