import { isLiveSession, joinGrants } from '../../core/authorization/fragments.sql.ts';
import { liveSessionColumns, liveSessionFields } from '../../core/sessions/live-session.sql.ts';
import type { RefreshToken } from '../../core/sessions/refresh-token.ts';
import { maxRotationsPerGracePeriod } from '../../core/sessions/rotate-session.sql.ts';
import type { SessionId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, type RowOf, sql } from '../../platform/sql.ts';

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
