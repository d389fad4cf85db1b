// Parts that several statements share, so that liveness and grants are defined once.
import { sql, type SqlFragment } from '../../platform/sql.ts';
import type { Principal } from './principal.ts';

/**
 * Whether session `s` is live, by the database's clock. `clock_timestamp()` instead of `now()`, which is the start of a
 * transaction that may have waited for a lock.
 */
export const isLiveSession: SqlFragment = sql`
  s.revoked_at IS NULL AND clock_timestamp() < LEAST(s.expires_at, s.absolute_expires_at)`;

/** Whether API key `k` has not expired. Its owner must also be active. */
export const isLiveApiKey: SqlFragment = sql`(k.expires_at IS NULL OR clock_timestamp() < k.expires_at)`;

/** Whether user `u` is the principal's user, is active, and owns the principal's live session or API key. */
export const isPrincipal = ({ userId, sessionId, apiKeyId }: Principal): SqlFragment =>
  sessionId === undefined
    ? sql`u.id = ${userId}::uuid AND u.is_active AND u.id = (
        SELECT k.user_id FROM api_keys AS k WHERE k.id = ${apiKeyId ?? null}::uuid AND ${isLiveApiKey})`
    : sql`u.id = ${userId}::uuid AND u.is_active AND u.id = (
        SELECT s.user_id FROM sessions AS s WHERE s.id = ${sessionId}::uuid AND ${isLiveSession})`;

/**
 * Joins the roles of user `u` as `grants.roles` and the union of their scopes as `grants.scopes` (sorted by bytes, unique, null without
 * roles). Statements compute them when they need them, so a changed role applies to the next statement.
 */
export const joinGrants: SqlFragment = sql`
  LEFT JOIN LATERAL (
    SELECT array_agg(DISTINCT role.name COLLATE "C") AS roles,
           array_agg(DISTINCT scope COLLATE "C") FILTER (WHERE scope IS NOT NULL) AS scopes
    FROM user_roles
    JOIN roles AS role ON role.name = user_roles.role
    LEFT JOIN LATERAL unnest(role.scopes) AS scope ON true
    WHERE user_roles.user_id = u.id
  ) AS grants ON true`;
