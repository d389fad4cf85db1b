import type { SessionId, UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, type RowOf, sql } from '../../platform/sql.ts';
import { isLiveSession, joinGrants } from '../authorization/fragments.sql.ts';
import type { RequestInfo } from '../request-info.ts';
import { type LiveSession, liveSessionColumns, liveSessionFields } from './live-session.sql.ts';

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
  | 'reclaimed'
  | 'reuse_detected'
  | 'email_not_verified'
  | 'revoked_by_operator';

export interface SessionRow {
  id: SessionId;
  userId: UserId;
  /** The password hash that the login was verified against. */
  verifiedHash: string;
  tokenHash: Uint8Array;
  requestedScope: string | null;
  request: Pick<RequestInfo, 'ip' | 'network' | 'userAgent'>;
  refreshTtlSeconds: number;
  sessionTtlSeconds: number;
}

/** When a user logs in with this many live sessions, the oldest is revoked. */
const maxSessionsPerUser = 100;

/**
 * Inserts a session if the verified hash is still the hash of an active user, and locks the user's row until the transaction
 * ends. SQL because this one execution decides whether a concurrent password change, disabling or login comes first.
 */
export function insertSession(tx: Transaction, session: SessionRow): Promise<number> {
  const { id, userId, verifiedHash, tokenHash, requestedScope, request, refreshTtlSeconds, sessionTtlSeconds } =
    session;
  return execute(
    tx,
    sql`
    INSERT INTO sessions (id, user_id, absolute_expires_at, auth_time, client_id, amr, scope, user_agent, ip,
                          expires_at, token_hash, turned_from, turned_at, turn_salts)
    SELECT ${id}::uuid, u.id, clock_timestamp() + make_interval(secs => ${sessionTtlSeconds}), clock_timestamp(),
           'first-party', '{pwd}', ${requestedScope}, ${request.userAgent}, ${request.ip},
           clock_timestamp() + make_interval(secs => ${refreshTtlSeconds}), ${tokenHash}, ${request.network}, '{}', '{}'
    FROM users AS u
    WHERE u.id = ${userId}::uuid AND u.password_hash = ${verifiedHash} AND u.is_active
    FOR NO KEY UPDATE`,
  );
}

/** Revokes the oldest live sessions beyond the maximum, never the session `keptId`. SQL for set-based work. */
export const revokeExcessSessions = (tx: Transaction, userId: UserId, keptId: SessionId): Promise<number> =>
  execute(
    tx,
    sql`
    UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = 'too_many_sessions'
    WHERE id IN (
      SELECT s.id FROM sessions AS s
      WHERE s.user_id = ${userId}::uuid AND s.id <> ${keptId}::uuid AND ${isLiveSession}
      ORDER BY s.created_at DESC OFFSET ${maxSessionsPerUser - 1} LIMIT ${maxSessionsPerUser})`,
  );

/** The contents of a session's tokens. SQL for the set union of scopes and the database's clock. */
export const findSession = (tx: Transaction, id: SessionId): Promise<LiveSession | undefined> =>
  queryRow(
    tx,
    liveSessionColumns,
    sql`
    SELECT ${liveSessionFields} FROM sessions AS s JOIN users AS u ON u.id = s.user_id ${joinGrants}
    WHERE s.id = ${id}::uuid`,
  );

/**
 * Revokes a live session and returns its user; undefined if the session was not live. SQL because one of several concurrent
 * executions must win, by the database's clock.
 */
export async function revokeSession(
  tx: Transaction,
  id: SessionId,
  reason: RevokedReason,
): Promise<UserId | undefined> {
  const revoked = await queryRow(
    tx,
    { userId: column.uuid<UserId>() },
    sql`
    UPDATE sessions AS s SET revoked_at = clock_timestamp(), revoked_reason = ${reason}
    WHERE s.id = ${id}::uuid AND ${isLiveSession}
    RETURNING s.user_id AS "userId"`,
  );
  return revoked?.userId;
}

/** Far above the number of live sessions that a user can have. The LIMIT tells the planner that they are few. */
const maxRevokedPerStatement = 10 * maxSessionsPerUser;

/**
 * Revokes every live session of a user whose row the transaction has locked, except `keptId`, and returns their number. SQL for
 * set-based work.
 */
export async function revokeSessionsOf(
  tx: Transaction,
  userId: UserId,
  reason: RevokedReason,
  keptId: SessionId | null = null,
): Promise<number> {
  const revoked = await execute(
    tx,
    sql`
    UPDATE sessions AS target SET revoked_at = clock_timestamp(), revoked_reason = ${reason}
    WHERE target.revoked_at IS NULL AND target.id = ANY (ARRAY(
      SELECT s.id FROM sessions AS s
      WHERE s.user_id = ${userId}::uuid AND s.id IS DISTINCT FROM ${keptId}::uuid AND ${isLiveSession}
      ORDER BY s.created_at DESC LIMIT ${maxRevokedPerStatement}))`,
  );
  if (revoked < maxRevokedPerStatement) return revoked;
  return revoked + (await revokeSessionsOf(tx, userId, reason, keptId));
}

/**
 * Locks the user of a session against deletion until the transaction ends. Deletions lock the user before the sessions, so every
 * transaction that changes a session and records an event about its user begins with this lock. SQL for the row lock.
 */
export const lockUserOfSession = (tx: Transaction, id: SessionId): Promise<number> =>
  execute(
    tx,
    sql`
    SELECT FROM users AS u JOIN sessions AS s ON s.user_id = u.id WHERE s.id = ${id}::uuid FOR KEY SHARE OF u`,
  );

const batchColumns = { revoked: column.integer, lastId: column.nullable(column.uuid<SessionId>()) };

/**
 * Revokes up to `batchSize` live sessions of any user after the id `after`, for operators. Waits for rotations in flight. SQL for
 * set-based work.
 */
export const revokeSessionBatch = (
  tx: Transaction,
  after: SessionId | null,
  batchSize: number,
): Promise<RowOf<typeof batchColumns> | undefined> =>
  queryRow(
    tx,
    batchColumns,
    sql`
    WITH batch AS MATERIALIZED (
      SELECT s.id FROM sessions AS s WHERE (${after}::uuid IS NULL OR s.id > ${after}::uuid) AND ${isLiveSession}
      ORDER BY s.id LIMIT ${batchSize} FOR NO KEY UPDATE
    ), revoked AS (
      UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = 'revoked_by_operator'
      WHERE id IN (SELECT id FROM batch)
    )
    SELECT count(*)::int AS revoked, (SELECT id FROM batch ORDER BY id DESC LIMIT 1) AS "lastId" FROM batch`,
  );
