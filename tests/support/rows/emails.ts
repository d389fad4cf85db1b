// The email outbox and one-time tokens.
import { type UserRef, userIdOf } from './refs.ts';
import type { Sql } from './sql.ts';

export interface OutboxRow {
  id: string;
  stage: string;
  kind: string;
  attempts: number;
  last_fault: string | null;
  created_at: Date;
  due_at: Date;
  sent_at: Date | null;
  failed_at: Date | null;
  /** Seconds until the next attempt. */
  waits_seconds: number;
}

/** Times in seconds. */
export interface OutboxChange {
  attempts?: number;
  createdAgo?: number;
}

export const emailRows = (sql: Sql) => ({
  /** Every row of the outbox, ordered by id. */
  all: () =>
    sql.rows<OutboxRow>(
      'SELECT *, extract(epoch FROM due_at - clock_timestamp())::float AS waits_seconds FROM mails ORDER BY id',
    ),
  /** Makes the next attempt of every unsent email due. */
  makeDue: () => sql.run('UPDATE mails SET due_at = clock_timestamp() WHERE sent_at IS NULL'),
  /** Changes age and attempts of every email, or of those of one kind. */
  change: ({ attempts, createdAgo }: OutboxChange, kind?: string) =>
    sql.run(
      `UPDATE mails SET attempts = COALESCE($1, attempts), created_at = created_at - make_interval(secs => $2)
       WHERE kind = COALESCE($3, kind)`,
      [attempts ?? null, createdAgo ?? 0, kind ?? null],
    ),
  remove: () => sql.run('DELETE FROM mails'),
  /** Makes the database reject emails of this kind until `accept` is called. */
  reject: (kind: string) =>
    sql.run(`ALTER TABLE mails ADD CONSTRAINT test_reject CHECK (kind <> '${kind.replaceAll("'", '')}') NOT VALID`),
  accept: () => sql.run('ALTER TABLE mails DROP CONSTRAINT test_reject'),
});

export const oneTimeTokenRows = (sql: Sql) => ({
  of: (user: UserRef) =>
    sql.rows<{ id: string; purpose: string; email: string; created_at: Date; expires_at: Date }>(
      'SELECT id, purpose, email, created_at, expires_at FROM one_time_tokens WHERE user_id = $1 ORDER BY created_at, id',
      [userIdOf(user)],
    ),
  /** Moves creation and expiry of the user's tokens back, as if `seconds` had passed. */
  age: (user: UserRef, seconds: number) =>
    sql.run(
      `UPDATE one_time_tokens SET created_at = created_at - make_interval(secs => $2),
         expires_at = expires_at - make_interval(secs => $2) WHERE user_id = $1`,
      [userIdOf(user), seconds],
    ),
  expire: (user: UserRef) =>
    sql.run(`UPDATE one_time_tokens SET expires_at = clock_timestamp() - interval '1 ms' WHERE user_id = $1`, [
      userIdOf(user),
    ]),
});
