import { isLiveSession } from '../../core/authorization/fragments.sql.ts';
import type { SessionId, UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRows, type RowOf, sql } from '../../platform/sql.ts';

const columns = {
  id: column.uuid<SessionId>(),
  createdAt: column.timestamptz,
  lastUsedAt: column.timestamptz,
  expiresAt: column.timestamptz,
  ip: column.text(),
  userAgent: column.nullable(column.text()),
  amr: column.textArray,
};
export type SessionDetails = RowOf<typeof columns>;

/**
 * Finds live sessions of a user, newest first, whose ids are less than `before`. Ids begin with the time. The page depends on the
 * value of the cursor only: looking up its row would reveal whether someone else's session exists. SQL because the database's clock
 * decides what is live.
 */
export const findLiveSessions = (
  tx: Transaction,
  userId: UserId,
  before: SessionId | undefined,
  limit: number,
): Promise<SessionDetails[]> =>
  queryRows(
    tx,
    columns,
    sql`
    SELECT s.id, s.created_at AS "createdAt", COALESCE(s.turned_at[1], s.created_at) AS "lastUsedAt",
           LEAST(s.expires_at, s.absolute_expires_at) AS "expiresAt", s.ip, s.user_agent AS "userAgent", s.amr
    FROM sessions AS s
    WHERE s.user_id = ${userId}::uuid AND ${isLiveSession} ${before ? sql`AND s.id < ${before}::uuid` : sql``}
    ORDER BY s.id DESC LIMIT ${limit}`,
  );
