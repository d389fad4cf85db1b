// Rows of failed login counters.
import type { Sql } from './sql.ts';

export interface LockoutCounters {
  attempts?: number;
  failures?: number;
  lastAttemptAgo?: number;
}

export const lockoutRows = (sql: Sql) => ({
  all: () =>
    sql.rows<{ network: string; attempts: number; failures: number }>(
      'SELECT network, attempts, failures FROM lockouts',
    ),
  /** Every row as text, to search for secrets. */
  asText: async (): Promise<string[]> =>
    (await sql.rows<{ line: string }>('SELECT lockouts::text AS line FROM lockouts')).map(({ line }) => line),
  /** Number of rows whose key is the plain SHA-256 hash of the email address. */
  hashedWithoutKey: (email: string) =>
    sql.rows('SELECT FROM lockouts WHERE email_hmac = sha256($1::bytea)', [email]).then((rows) => rows.length),
  /** Changes the counters of a client network, if they have `attempts` so far. */
  change: (network: string, { attempts, failures, lastAttemptAgo }: LockoutCounters, ifAttempts?: number) =>
    sql.run(
      `UPDATE lockouts SET attempts = COALESCE($2, attempts), failures = COALESCE($3, failures),
         last_attempt_at = CASE WHEN $4::float IS NULL THEN last_attempt_at
                                ELSE clock_timestamp() - make_interval(secs => $4::float) END
       WHERE network = $1 AND attempts = COALESCE($5, attempts)`,
      [network, attempts ?? null, failures ?? null, lastAttemptAgo ?? null, ifAttempts ?? null],
    ),
  remove: (network: string) => sql.run('DELETE FROM lockouts WHERE network = $1', [network]),
});
