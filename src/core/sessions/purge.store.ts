import { type Database } from '../../platform/postgres.ts';
import { sql } from '../../platform/sql.ts';

/** When a session ended for good. Each has an index of its own, on a column that no turn changes. No index can be searched
 * by `clock_timestamp()`, which is volatile; here the statement's own time will do. */
const ends = [sql`absolute_expires_at`, sql`revoked_at`];

/**
 * Deletes sessions that ended for good more than a week ago, up to `batch` of a kind, and tells how many of the more
 * frequent kind. Until then a late client is still told why. Two processes take different rows. A session that only
 * idled out stays until its absolute expiry.
 */
export async function purgeSessions(db: Database, batch: number): Promise<number> {
  let most = 0;
  for (const end of ends) {
    const deleted = await db.$executeRaw`
      DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE ${end} < statement_timestamp() - interval '7 days'
        ORDER BY ${end} LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
    most = Math.max(most, deleted);
  }
  return most;
}
