// A session's row in the database, and the passing of time without waiting.
import type pg from 'pg';

export interface SessionRow {
  id: string;
  generation: number;
  tokenHash: Buffer;
  /** Number of rotations that the row keeps. */
  rotations: number;
  salts: number;
  revokedReason: string | null;
  expiresAt: Date;
  absoluteExpiresAt: Date;
  /** Changes with every write to the row. */
  version: string;
}

const columns = `id, generation, token_hash AS "tokenHash", cardinality(turned_at) AS rotations,
  cardinality(turn_salts) AS salts, revoked_reason AS "revokedReason", expires_at AS "expiresAt",
  absolute_expires_at AS "absoluteExpiresAt", concat(xmin, '/', ctid) AS version`;

export async function readSession(sql: pg.Pool, id: string): Promise<SessionRow> {
  const { rows } = await sql.query<SessionRow>(`SELECT ${columns} FROM sessions WHERE id = $1`, [id]);
  const [row] = rows;
  if (!row) throw new Error(`session ${id} does not exist`);
  return row;
}

export async function readSessionsOf(sql: pg.Pool, userId: string): Promise<SessionRow[]> {
  return (await sql.query<SessionRow>(`SELECT ${columns} FROM sessions WHERE user_id = $1`, [userId])).rows;
}

/** Moves all times of these sessions back, as if `seconds` had passed. */
export async function passTime(sql: pg.Pool, seconds: number, sessionIds: readonly string[]): Promise<void> {
  await sql.query(
    `UPDATE sessions SET
       expires_at = expires_at - make_interval(secs => $1),
       absolute_expires_at = absolute_expires_at - make_interval(secs => $1),
       turned_at = ARRAY(SELECT t - make_interval(secs => $1) FROM unnest(turned_at) WITH ORDINALITY AS x(t, i) ORDER BY i)
     WHERE id = ANY($2)`,
    [seconds, sessionIds],
  );
}

/** Sets how many seconds ago the latest rotations happened, newest first. */
export async function setRotationAges(sql: pg.Pool, id: string, seconds: readonly number[]): Promise<void> {
  await sql.query(
    `UPDATE sessions SET turned_at =
       ARRAY(SELECT clock_timestamp() - make_interval(secs => s) FROM unnest($2::float[]) WITH ORDINALITY AS x(s, i) ORDER BY i)
     WHERE id = $1`,
    [id, seconds],
  );
}

export interface AuditRow {
  type: string;
  outcome: string;
  userId: string;
  ip: string;
}

/** Audit events about the refresh tokens of a session, oldest first. */
export async function refreshEvents(sql: pg.Pool, sessionId: string): Promise<AuditRow[]> {
  const { rows } = await sql.query<AuditRow>(
    `SELECT e.type, e.outcome, e.user_id AS "userId", p.ip
     FROM audit_events AS e LEFT JOIN audit_personal_data AS p ON p.event_id = e.id
     WHERE e.session_id = $1 AND e.type LIKE 'refresh_token.%' ORDER BY e.occurred_at`,
    [sessionId],
  );
  return rows;
}
