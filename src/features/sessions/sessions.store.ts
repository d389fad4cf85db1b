import { actorOf, recordEvent } from '../../core/audit/audit.store.ts';
import { requireOwnOrWeaker } from '../../core/authorization/authority.store.ts';
import { actAsCaller, isCaller, ownerFor } from '../../core/authorization/caller.store.ts';
import { isLive, revokeSession } from '../../core/sessions/sessions.store.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { SessionId } from '../../lib/ids.ts';
import { type Database } from '../../platform/postgres.ts';
import { sql } from '../../platform/sql.ts';

export interface SessionRow {
  id: SessionId;
  createdAt: Date;
  lastUsedAt: Date;
  expiresAt: Date;
  ip: string;
  userAgent: string | null;
  amr: string[];
}

export const makeMySessionsStore = (db: Database) => ({
  /** Live sessions of the caller, the newest first, from below `before`; undefined where the caller's own is dead. */
  async list(principal: Principal, before: SessionId | undefined, limit: number): Promise<SessionRow[] | undefined> {
    const from = before
      ? sql`AND (s.created_at, s.id) < (SELECT created_at, id FROM sessions WHERE id = ${before}::uuid)`
      : sql``;
    const rows = await db.$queryRaw<(SessionRow | { id: null })[]>`
      WITH caller AS (
        SELECT u.id AS user_id FROM users AS u WHERE ${isCaller(principal)}
      )
      SELECT page.* FROM caller LEFT JOIN LATERAL (
        SELECT s.id, s.created_at AS "createdAt", COALESCE(s.turned_at[1], s.created_at) AS "lastUsedAt",
               LEAST(s.expires_at, s.absolute_expires_at) AS "expiresAt", s.ip, s.user_agent AS "userAgent", s.amr
        FROM sessions AS s WHERE s.user_id = caller.user_id AND ${isLive} ${from}
        ORDER BY s.created_at DESC, s.id DESC LIMIT ${limit}
      ) AS page ON true`;
    return rows.length === 0 ? undefined : rows.filter((row): row is SessionRow => row.id !== null);
  },

  /** False for a session that is dead or somebody else's, alike; undefined where the caller's own is dead. */
  end: (principal: Principal, id: SessionId, request: RequestInfo): Promise<boolean | undefined> =>
    actAsCaller(db, principal, async (tx) => {
      const reason = 'ended_by_user';
      const userId = await revokeSession(tx, id, reason, await ownerFor(tx, principal, 'users:write'));
      if (!userId) return false;
      await requireOwnOrWeaker(tx, principal, userId, 'users:write');
      const facts = { ...actorOf(principal), userId, sessionId: id };
      await recordEvent(tx, request, { type: 'session.ended', outcome: 'success', reason, ...facts });
      return true;
    }),
});

export type MySessionsStore = ReturnType<typeof makeMySessionsStore>;
