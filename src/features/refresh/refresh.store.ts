import { recordEvent } from '../../core/audit/audit.store.ts';
import { hashToken, type RefreshToken } from '../../core/sessions/refresh-token.ts';
import { isLive, liveSessionColumns, revokeSession } from '../../core/sessions/sessions.store.ts';
import type { LiveSession } from '../../core/tokens/issue-tokens.ts';
import { joinGrants } from '../../core/authorization/fragments.sql.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { SessionId, UserId } from '../../lib/ids.ts';
import type { Network } from '../../lib/network.ts';
import { type Database } from '../../platform/postgres.ts';
import { sql } from '../../platform/sql.ts';

/** What the row says of a token that did not turn it. */
export interface Standing extends LiveSession {
  status: 'live' | 'expired' | 'revoked';
  generation: number;
  tokenHash: Uint8Array;
  turnedFrom: string;
  turnSalts: Uint8Array[];
  /** Whether the leeway of the presented generation still runs. */
  covered: boolean;
  /** Whether the turns that the row keeps are full and all inside the leeway: older ones may be, too. */
  crowded: boolean;
}

const maxTurnsKept = 8;

export interface RefreshTimes {
  refreshTtlSeconds: number;
  refreshGracePeriodSeconds: number;
}

export const makeRefreshStore = (db: Database, times: RefreshTimes) => {
  const ttl = sql`make_interval(secs => ${times.refreshTtlSeconds})`;
  const leeway = sql`make_interval(secs => ${times.refreshGracePeriodSeconds})`;

  return {
    /**
     * The turn: one statement, decided by the row. The clock is read once for what is written, so that both arrays are
     * kept or cut together. A row that somebody else changed meanwhile is looked at again as a whole.
     */
    async turn(
      from: RefreshToken,
      to: RefreshToken,
      salt: Uint8Array,
      network: Network,
    ): Promise<LiveSession | undefined> {
      const [session] = await db.$queryRaw<LiveSession[]>`
        UPDATE sessions AS s
        SET expires_at = clock.now + ${ttl},
            generation = s.generation + 1,
            token_hash = ${hashToken(to)},
            turned_from = ${network},
            turned_at = CASE WHEN clock.now - s.turned_at[1] < ${leeway}
                             THEN (clock.now || s.turned_at)[1:${maxTurnsKept}::int] ELSE ARRAY[clock.now] END,
            turn_salts = CASE WHEN clock.now - s.turned_at[1] < ${leeway}
                              THEN (${salt}::bytea || s.turn_salts)[1:${maxTurnsKept}::int] ELSE ARRAY[${salt}::bytea] END
        FROM (SELECT clock_timestamp() AS now) AS clock, users AS u ${joinGrants}
        WHERE s.id = ${from.sessionId}::uuid AND s.generation = ${from.generation}
          AND s.token_hash = ${hashToken(from)} AND ${isLive} AND u.id = s.user_id AND u.is_active
        RETURNING ${liveSessionColumns}`;
      return session;
    },

    /** Why a token did not turn its session. */
    async standing({ sessionId, generation }: RefreshToken): Promise<Standing | undefined> {
      const [row] = await db.$queryRaw<Standing[]>`
        SELECT ${liveSessionColumns}, s.generation, s.token_hash AS "tokenHash", s.turned_from AS "turnedFrom",
               s.turn_salts AS "turnSalts",
               CASE WHEN s.revoked_at IS NOT NULL OR NOT u.is_active THEN 'revoked'
                    WHEN NOT (${isLive}) THEN 'expired' ELSE 'live' END AS status,
               COALESCE(clock_timestamp() - s.turned_at[s.generation - ${generation}] <= ${leeway}, false) AS covered,
               COALESCE(clock_timestamp() - s.turned_at[${maxTurnsKept}] <= ${leeway}, false) AS crowded
        FROM sessions AS s JOIN users AS u ON u.id = s.user_id ${joinGrants}
        WHERE s.id = ${sessionId}::uuid`;
      return row;
    },

    /** Ends a session whose token came twice. Committed here, whatever is answered: a thief has one of the two. */
    revokeReused: (id: SessionId, userId: UserId, request: RequestInfo): Promise<void> =>
      db.$transaction(async (tx) => {
        if (!(await revokeSession(tx, id, 'reuse_detected'))) return;
        await recordEvent(tx, request, { type: 'refresh_token.reused', outcome: 'failure', userId, sessionId: id });
      }),

    /** A genuine token of a session that has ended. */
    recordDead: ({ id, userId, status: reason }: Standing, request: RequestInfo): Promise<void> =>
      recordEvent(db, request, { type: 'refresh_token.refused', outcome: 'failure', reason, userId, sessionId: id }),

    recordReplayElsewhere: ({ id, userId }: LiveSession, request: RequestInfo): Promise<void> =>
      recordEvent(db, request, {
        type: 'refresh_token.replayed_elsewhere',
        outcome: 'success',
        userId,
        sessionId: id,
      }),
  };
};

export type RefreshStore = ReturnType<typeof makeRefreshStore>;
