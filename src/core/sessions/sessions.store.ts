import type { RequestInfo } from '../request-info.ts';
import type { SessionId, UserId } from '../../lib/ids.ts';
import { type Transaction } from '../../platform/postgres.ts';
import { sql, type SqlFragment } from '../../platform/sql.ts';
import { recordEvent } from '../audit/audit.store.ts';
import type { LiveSession } from '../tokens/issue-tokens.ts';
import { joinGrants } from '../authorization/fragments.sql.ts';

export type RevokedReason =
  | 'logout'
  | 'logout_all'
  | 'ended_by_user'
  | 'replaced_by_login'
  | 'too_many_sessions'
  | 'ended_by_admin'
  | 'account_disabled'
  | 'password_changed'
  | 'password_reset'
  | 'email_change_undone'
  | 'reuse_detected';

/**
 * Whether session `s` lives, by the database's clock. `clock_timestamp()`, as `now()` would be the start of a
 * transaction that may have waited for a lock.
 */
export const isLive: SqlFragment = sql`
  s.revoked_at IS NULL AND clock_timestamp() < LEAST(s.expires_at, s.absolute_expires_at)`;

/** The columns of `LiveSession`, of session `s` of user `u` joined with its `grants`. */
export const liveSessionColumns: SqlFragment = sql`
  s.id, s.user_id AS "userId", s.client_id AS "clientId", s.amr, s.scope AS "askedScope",
  FLOOR(EXTRACT(EPOCH FROM s.auth_time))::int AS "authTime", u.email_verified AS "emailVerified",
  COALESCE(grants.roles, '{}') AS roles, COALESCE(grants.scopes, '{}') AS "heldScopes",
  FLOOR(EXTRACT(EPOCH FROM LEAST(s.expires_at, s.absolute_expires_at) - clock_timestamp()))::int AS "refreshExpiresInSeconds"`;

export interface Birth {
  id: SessionId;
  userId: UserId;
  /** The hash that the presented password was verified against. */
  verifiedHash: string;
  tokenHash: Uint8Array;
  askedScope: string | null;
  request: { ip: string; network: string; userAgent: string | null };
  refreshTtlSeconds: number;
  sessionTtlSeconds: number;
}

/** At most so many live sessions a user; the oldest make room. */
const maxLiveSessions = 100;

/**
 * A session is born only if the hash that was verified is still the user's: no row, no session. The user's row stays
 * locked until the transaction ends, so that a change of password, a disabling and another birth come before or after.
 */
export async function bear(tx: Transaction, birth: Birth): Promise<LiveSession | undefined> {
  const { id, userId, verifiedHash, tokenHash, askedScope, request, refreshTtlSeconds, sessionTtlSeconds } = birth;
  const born = await tx.$executeRaw`
    INSERT INTO sessions (id, user_id, absolute_expires_at, auth_time, client_id, amr, scope, user_agent, ip,
                          expires_at, token_hash, turned_from, turned_at, turn_salts)
    SELECT ${id}::uuid, u.id, clock_timestamp() + make_interval(secs => ${sessionTtlSeconds}), clock_timestamp(),
           'first-party', '{pwd}', ${askedScope}, ${request.userAgent}, ${request.ip},
           clock_timestamp() + make_interval(secs => ${refreshTtlSeconds}), ${tokenHash}, ${request.network}, '{}', '{}'
    FROM users AS u
    WHERE u.id = ${userId}::uuid AND u.password_hash = ${verifiedHash} AND u.is_active
    FOR NO KEY UPDATE`;
  if (born === 0) return undefined;
  await tx.$executeRaw`
    UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = 'too_many_sessions'
    WHERE id IN (
      SELECT s.id FROM sessions AS s WHERE s.user_id = ${userId}::uuid AND s.id <> ${id}::uuid AND ${isLive}
      ORDER BY s.created_at DESC OFFSET ${maxLiveSessions - 1} LIMIT ${maxLiveSessions})`;
  const [session] = await tx.$queryRaw<LiveSession[]>`
    SELECT ${liveSessionColumns} FROM sessions AS s JOIN users AS u ON u.id = s.user_id ${joinGrants}
    WHERE s.id = ${id}::uuid`;
  return session;
}

/** Ends one session, and tells whose it was; undefined where it is not live, or not the given owner's. */
export async function revokeSession(
  tx: Transaction,
  id: SessionId,
  reason: RevokedReason,
  owner: UserId | null = null,
): Promise<UserId | undefined> {
  const [ended] = await tx.$queryRaw<{ userId: UserId }[]>`
    UPDATE sessions AS s SET revoked_at = clock_timestamp(), revoked_reason = ${reason}
    WHERE s.id = ${id}::uuid AND ${isLive} AND (${owner}::uuid IS NULL OR s.user_id = ${owner}::uuid)
    RETURNING s.user_id AS "userId"`;
  return ended?.userId;
}

/**
 * Ends every session of a user whose row this transaction holds, but for one that is to be kept. The cap bounds how many
 * there are; the limit, far above it, tells the planner so.
 */
export async function revokeSessionsOf(
  tx: Transaction,
  userId: UserId,
  reason: RevokedReason,
  kept: SessionId | null = null,
): Promise<void> {
  const most = 10 * maxLiveSessions;
  const ended = await tx.$executeRaw`
    UPDATE sessions AS ended SET revoked_at = clock_timestamp(), revoked_reason = ${reason}
    WHERE ended.revoked_at IS NULL AND ended.id = ANY (ARRAY(
      SELECT s.id FROM sessions AS s
      WHERE s.user_id = ${userId}::uuid AND s.id IS DISTINCT FROM ${kept}::uuid AND ${isLive}
      ORDER BY s.created_at DESC LIMIT ${most}))`;
  if (ended === most) await revokeSessionsOf(tx, userId, reason, kept);
}

/** Ends a session that a login was called with, whoever's it was. */
export async function endReplaced(
  tx: Transaction,
  sessionId: SessionId,
  actorId: UserId,
  request: RequestInfo,
): Promise<void> {
  const reason = 'replaced_by_login';
  const userId = await revokeSession(tx, sessionId, reason);
  if (!userId) return;
  await recordEvent(tx, request, { type: 'session.ended', outcome: 'success', reason, actorId, userId, sessionId });
}
