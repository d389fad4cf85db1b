import { isLiveSession, joinGrants } from '../../core/authorization/fragments.sql.ts';
import { type LiveSession, liveSessionColumns, liveSessionFields } from '../../core/sessions/live-session.sql.ts';
import { hashToken, type RefreshToken } from '../../core/sessions/refresh-token.ts';
import type { SessionId } from '../../lib/ids.ts';
import type { Network } from '../../lib/network.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, type RowOf, sql } from '../../platform/sql.ts';

export interface Rotation {
  from: RefreshToken;
  to: RefreshToken;
  salt: Uint8Array;
  network: Network;
  refreshTtlSeconds: number;
  gracePeriodSeconds: number;
}

/** The maximum number of rotations in one grace period. The row keeps their salts, so it can verify every older token. */
const maxRotationsPerGracePeriod = 8;

/**
 * Rotates a session if `from` is its current token and fewer than eight rotations lie within the grace period. SQL because this
 * one execution decides every race, and because it is the hot path. The clock is read once, so that times and salts stay aligned.
 */
export function rotateSession(tx: Transaction, rotation: Rotation): Promise<LiveSession | undefined> {
  const { from, to, salt, network, refreshTtlSeconds, gracePeriodSeconds } = rotation;
  const gracePeriod = sql`make_interval(secs => ${gracePeriodSeconds})`;
  return queryRow(
    tx,
    liveSessionColumns,
    sql`
    UPDATE sessions AS s
    SET expires_at = clock.now + make_interval(secs => ${refreshTtlSeconds}),
        generation = s.generation + 1,
        token_hash = ${hashToken(to)},
        turned_from = ${network},
        turned_at = CASE WHEN clock.now - s.turned_at[1] < ${gracePeriod}
                         THEN (clock.now || s.turned_at)[1:${maxRotationsPerGracePeriod}::int] ELSE ARRAY[clock.now] END,
        turn_salts = CASE WHEN clock.now - s.turned_at[1] < ${gracePeriod}
                          THEN (${salt}::bytea || s.turn_salts)[1:${maxRotationsPerGracePeriod}::int] ELSE ARRAY[${salt}::bytea] END
    FROM (SELECT clock_timestamp() AS now) AS clock, users AS u ${joinGrants}
    WHERE s.id = ${from.sessionId}::uuid AND s.generation = ${from.generation} AND s.token_hash = ${hashToken(from)}
      AND ${isLiveSession} AND u.id = s.user_id AND u.is_active
      AND (clock.now - s.turned_at[${maxRotationsPerGracePeriod}::int] < ${gracePeriod}) IS NOT TRUE
    RETURNING ${liveSessionFields}`,
  );
}

const stateColumns = {
  ...liveSessionColumns,
  status: column.text<'live' | 'expired' | 'revoked'>(),
  generation: column.integer,
  /** When the session expires if it is not rotated, in seconds since the epoch. */
  expiresAt: column.double,
  tokenHash: column.bytea,
  /** Salts of the latest rotations, newest first. */
  salts: column.byteaArray,
  /** Client network of the last rotation. */
  rotationNetwork: column.text(),
  /** Whether the grace period of the presented token has not ended. */
  isWithinGracePeriod: column.boolean,
  /** Whether eight rotations lie within the grace period, so that the session cannot be rotated now. */
  isRotationLimited: column.boolean,
  /** Whether a replay of the presented token, or of a later one, was audited. */
  wasReplayed: column.boolean,
  /** Whether an earlier token of the ended session was refused and audited. */
  wasRefused: column.boolean,
};
export type SessionState = RowOf<typeof stateColumns>;

/** Reads why a token did not rotate its session. SQL because the database's clock decides. */
export function findSessionState(
  tx: Transaction,
  { sessionId, generation }: RefreshToken,
  gracePeriodSeconds: number,
): Promise<SessionState | undefined> {
  const gracePeriod = sql`make_interval(secs => ${gracePeriodSeconds})`;
  return queryRow(
    tx,
    stateColumns,
    sql`
    SELECT ${liveSessionFields}, s.generation, s.token_hash AS "tokenHash", s.turn_salts AS salts,
           FLOOR(EXTRACT(EPOCH FROM LEAST(s.expires_at, s.absolute_expires_at)))::float8 AS "expiresAt",
           s.turned_from AS "rotationNetwork",
           CASE WHEN s.revoked_at IS NOT NULL OR NOT u.is_active THEN 'revoked'
                WHEN NOT (${isLiveSession}) THEN 'expired' ELSE 'live' END AS status,
           COALESCE(clock_timestamp() - s.turned_at[s.generation - ${generation}] < ${gracePeriod}, false)
             AS "isWithinGracePeriod",
           COALESCE(clock_timestamp() - s.turned_at[${maxRotationsPerGracePeriod}::int] < ${gracePeriod}, false)
             AS "isRotationLimited",
           COALESCE(s.replayed_generation >= ${generation}, false) AS "wasReplayed",
           s.refused_at IS NOT NULL AS "wasRefused"
    FROM sessions AS s JOIN users AS u ON u.id = s.user_id ${joinGrants}
    WHERE s.id = ${sessionId}::uuid`,
  );
}

/** Records that a token of an ended session was refused; 0 if that was recorded before. SQL because one of several concurrent executions must win. */
export const markRefused = (tx: Transaction, id: SessionId): Promise<number> =>
  execute(tx, sql`UPDATE sessions SET refused_at = clock_timestamp() WHERE id = ${id}::uuid AND refused_at IS NULL`);

/** Marks the first replay of a generation from another network. SQL because one of several concurrent executions must win. */
export const markReplayed = (tx: Transaction, id: SessionId, generation: number): Promise<number> =>
  execute(
    tx,
    sql`
    UPDATE sessions SET replayed_generation = ${generation}::int
    WHERE id = ${id}::uuid AND COALESCE(replayed_generation < ${generation}::int, true)`,
  );
