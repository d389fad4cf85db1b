import type { Database } from '../../platform/postgres.ts';

/**
 * Deletes up to `batch` sessions that ended for good more than a week ago: until then a late client is still told why.
 * Two processes take different rows. Walks the index on `absolute_expires_at`, which no turn changes.
 */
export const purgeSessions = (db: Database, batch: number): Promise<number> =>
  db.$executeRaw`
    DELETE FROM sessions WHERE id IN (
      SELECT id FROM sessions WHERE absolute_expires_at < clock_timestamp() - interval '7 days'
      ORDER BY absolute_expires_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
