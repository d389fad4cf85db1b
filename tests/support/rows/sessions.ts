// Rows of sessions, and the passing of time without waiting for it.
import { type SessionRef, sessionIdOf, type UserRef, userIdOf } from './refs.ts';
import type { Sql } from './sql.ts';

export interface SessionRow {
  id: string;
  userId: string;
  generation: number;
  tokenHash: Buffer;
  /** The number of rotations whose salts the row keeps. */
  rotations: number;
  salts: number;
  revokedAt: Date | null;
  revokedReason: string | null;
  expiresAt: Date;
  absoluteExpiresAt: Date;
  /** Changes with every write to the row. */
  version: string;
}

const columns = `id, user_id AS "userId", generation, token_hash AS "tokenHash", cardinality(turned_at) AS rotations,
  cardinality(turn_salts) AS salts, revoked_at AS "revokedAt", revoked_reason AS "revokedReason",
  expires_at AS "expiresAt", absolute_expires_at AS "absoluteExpiresAt", concat(xmin, '/', ctid) AS version`;

/** Times in seconds from now; negative: in the past. */
export interface SessionTimes {
  expiresIn: number;
  absolutelyExpiresIn: number;
  revokedAgo?: number;
}

export type SessionSnapshot = Readonly<Record<string, unknown>>;

export const sessionRows = (sql: Sql) => ({
  /** @throws if the session does not exist */
  get: (session: SessionRef) =>
    sql.one<SessionRow>(`SELECT ${columns} FROM sessions WHERE id = $1`, [sessionIdOf(session)]),
  /** Sessions of a user, oldest first. */
  of: (user: UserRef) =>
    sql.rows<SessionRow>(`SELECT ${columns} FROM sessions WHERE user_id = $1 ORDER BY created_at, id`, [
      userIdOf(user),
    ]),

  /** Makes the session expire for inactivity now or in some seconds. */
  expire: (session: SessionRef, inSeconds = 0) =>
    sql.run('UPDATE sessions SET expires_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1', [
      sessionIdOf(session),
      inSeconds,
    ]),
  /** Makes the maximum lifetime of the session end now or in some seconds. */
  expireAbsolutely: (session: SessionRef, inSeconds = 0) =>
    sql.run('UPDATE sessions SET absolute_expires_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1', [
      sessionIdOf(session),
      inSeconds,
    ]),
  revoke: (session: SessionRef, reason: string) =>
    sql.run('UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = $2 WHERE id = $1', [
      sessionIdOf(session),
      reason,
    ]),
  remove: (session: SessionRef) => sql.run('DELETE FROM sessions WHERE id = $1', [sessionIdOf(session)]),

  /** Moves expiries and rotations of the sessions back, as if `seconds` had passed. */
  age: (seconds: number, ...sessions: readonly SessionRef[]) =>
    sql.run(
      `UPDATE sessions SET
         created_at = created_at - make_interval(secs => $1),
         expires_at = expires_at - make_interval(secs => $1),
         absolute_expires_at = absolute_expires_at - make_interval(secs => $1),
         turned_at = ARRAY(SELECT t - make_interval(secs => $1) FROM unnest(turned_at) WITH ORDINALITY AS x(t, i) ORDER BY i)
       WHERE id = ANY($2)`,
      [seconds, sessions.map(sessionIdOf)],
    ),
  /** Moves the user's last authentication back (`auth_time`). */
  ageAuthentication: (session: SessionRef, seconds: number) =>
    sql.run('UPDATE sessions SET auth_time = auth_time - make_interval(secs => $2) WHERE id = $1', [
      sessionIdOf(session),
      seconds,
    ]),
  /** Sets how many seconds ago the latest rotations were, newest first, one number per rotation in the row. */
  setRotationAges: (session: SessionRef, ...seconds: readonly number[]) =>
    sql.run(
      `UPDATE sessions SET turned_at =
         ARRAY(SELECT clock_timestamp() - make_interval(secs => s) FROM unnest($2::float[]) WITH ORDINALITY AS x(s, i) ORDER BY i)
       WHERE id = $1`,
      [sessionIdOf(session), seconds],
    ),

  /** The columns that a rotation changes, to compare or to restore. */
  snapshot: (session: SessionRef) =>
    sql.one<SessionSnapshot>('SELECT generation, token_hash, turned_at, turn_salts FROM sessions WHERE id = $1', [
      sessionIdOf(session),
    ]),
  /** Restores a snapshot, like a restored backup. */
  restore: (session: SessionRef, snapshot: SessionSnapshot) =>
    sql.run('UPDATE sessions SET generation = $2, token_hash = $3, turned_at = $4, turn_salts = $5 WHERE id = $1', [
      sessionIdOf(session),
      snapshot['generation'],
      snapshot['token_hash'],
      snapshot['turned_at'],
      snapshot['turn_salts'],
    ]),
  /** Inserts `count` sessions of a user without usable refresh tokens, marked with a user agent. */
  insert: (user: UserRef, count: number, userAgent: string, times: SessionTimes) =>
    sql.run(
      `INSERT INTO sessions (id, user_id, absolute_expires_at, auth_time, client_id, user_agent, ip, expires_at, token_hash,
                             turned_from, turned_at, turn_salts, revoked_at, revoked_reason)
       SELECT gen_random_uuid(), $1, now() + make_interval(secs => $2), now() - interval '40 days', 'first-party', $3,
              '127.0.0.1', now() + make_interval(secs => $4), sha256('x'), '', '{}', '{}',
              now() - make_interval(secs => $5::float), CASE WHEN $5::float IS NULL THEN NULL ELSE 'logout' END
       FROM generate_series(1, $6)`,
      [userIdOf(user), times.absolutelyExpiresIn, userAgent, times.expiresIn, times.revokedAgo ?? null, count],
    ),
  /** Locks the row until the transaction of the connection ends. */
  lock: (session: SessionRef) => sql.rows('SELECT FROM sessions WHERE id = $1 FOR UPDATE', [sessionIdOf(session)]),
});
