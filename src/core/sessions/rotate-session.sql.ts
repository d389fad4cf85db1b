import type { SessionId } from '../../lib/ids.ts';
import type { Network } from '../../lib/network.ts';
import type { Database } from '../../platform/postgres.ts';
import { queryRow, queryRows, sql, type SqlFragment } from '../../platform/sql.ts';
import { isLiveSession, joinGrants } from '../authorization/fragments.sql.ts';
import { type LiveSession, liveSessionColumns, liveSessionFields } from './live-session.sql.ts';

/** The step of one session from its current token to the next. */
export interface Rotation {
  sessionId: SessionId;
  generation: number;
  hash: Buffer;
  nextHash: Buffer;
  salt: Buffer;
  network: Network;
}

export interface RotationTimes {
  refreshTtlSeconds: number;
  refreshGracePeriodSeconds: number;
}

/** The maximum number of rotations in one grace period. The row keeps their salts, so it can verify every older token. */
export const maxRotationsPerGracePeriod = 8;

/** Whether session `s` was rotated fewer than eight times within the grace period. */
const isRotatable = (now: SqlFragment, { refreshGracePeriodSeconds }: RotationTimes): SqlFragment => sql`
  (${now} - s.turned_at[${maxRotationsPerGracePeriod}::int] < make_interval(secs => ${refreshGracePeriodSeconds})) IS NOT TRUE`;

/**
 * Rotates the sessions of `input` whose token is the current one and that were rotated fewer than eight times within the grace period.
 * SQL because one execution decides every race, and because it is the hot path. The clock is read once, so that times and salts stay
 * aligned.
 */
function rotate(input: SqlFragment, times: RotationTimes): SqlFragment {
  const gracePeriod = sql`make_interval(secs => ${times.refreshGracePeriodSeconds})`;
  return sql`
    UPDATE sessions AS s
    SET expires_at = clock.now + make_interval(secs => ${times.refreshTtlSeconds}),
        generation = s.generation + 1,
        token_hash = i.next_hash,
        turned_from = i.network,
        turned_at = CASE WHEN clock.now - s.turned_at[1] < ${gracePeriod}
                         THEN (clock.now || s.turned_at)[1:${maxRotationsPerGracePeriod}::int] ELSE ARRAY[clock.now] END,
        turn_salts = CASE WHEN clock.now - s.turned_at[1] < ${gracePeriod}
                          THEN (i.salt || s.turn_salts)[1:${maxRotationsPerGracePeriod}::int] ELSE ARRAY[i.salt] END
    FROM (SELECT clock_timestamp() AS now) AS clock, (${input}) AS i, users AS u ${joinGrants}
    WHERE s.id = i.id AND s.generation = i.generation AND s.token_hash = i.hash
      AND ${isLiveSession} AND u.id = s.user_id AND u.is_active
      AND ${isRotatable(sql`clock.now`, times)}
    RETURNING ${liveSessionFields}`;
}

/** Rotates one session. Waits for its row. Returns undefined if the token is not current or the session cannot be rotated. */
export function rotateOne(db: Database, rotation: Rotation, times: RotationTimes): Promise<LiveSession | undefined> {
  const { sessionId, generation, hash, nextHash, salt, network } = rotation;
  const input = sql`
    SELECT ${sessionId}::uuid AS id, ${generation}::bigint AS generation, ${hash}::bytea AS hash,
           ${nextHash}::bytea AS next_hash, ${salt}::bytea AS salt, ${network}::text AS network`;
  return queryRow(db, liveSessionColumns, rotate(input, times));
}

/**
 * Rotates different sessions and returns those that it rotated, in any order. It skips rows that another transaction has locked, so it
 * never waits for a row and takes part in no deadlock. It locks only rows that it will rotate, so that replays write nothing.
 */
export function rotateMany(db: Database, rotations: readonly Rotation[], times: RotationTimes): Promise<LiveSession[]> {
  const input = sql`
    SELECT given.* FROM unnest(
      ${rotations.map(({ sessionId }) => sessionId)}::uuid[], ${rotations.map(({ generation }) => generation)}::bigint[],
      ${rotations.map(({ hash }) => hash)}::bytea[], ${rotations.map(({ nextHash }) => nextHash)}::bytea[],
      ${rotations.map(({ salt }) => salt)}::bytea[], ${rotations.map(({ network }) => network)}::text[]
    ) AS given (id, generation, hash, next_hash, salt, network)
    JOIN sessions AS s ON s.id = given.id AND s.generation = given.generation AND s.token_hash = given.hash
    WHERE ${isLiveSession} AND ${isRotatable(sql`clock_timestamp()`, times)}
    FOR NO KEY UPDATE OF s SKIP LOCKED`;
  return queryRows(db, liveSessionColumns, rotate(input, times));
}
