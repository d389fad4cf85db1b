import pg from 'pg';
import { monotonicMs } from '../lib/clock.ts';

export interface PoolConfig {
  url: string;
  poolMax: number;
  timeoutSeconds: number;
  /** Whether a PgBouncer stands between, which refuses settings at the start of a connection. */
  pooled: boolean;
}

/** So that what nobody waits for any longer does not go on in Postgres. Behind a pooler the role's own settings do that. */
const endsInPostgres = (timeoutMs: number) => ({
  statement_timeout: timeoutMs,
  idle_in_transaction_session_timeout: timeoutMs + 1000,
});

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: unknown) => void,
) => void;

/**
 * The connections of one process; none is made before the first query. `waited` is told how many seconds each query or
 * transaction waited for one. A wait, and a query, ends after DATABASE_TIMEOUT: in Postgres by statement_timeout, and
 * here as well, should Postgres hang.
 */
export function openPool(settings: PoolConfig, waited: (seconds: number) => void): pg.Pool {
  const timeoutMs = settings.timeoutSeconds * 1000;
  const pool = new pg.Pool({
    connectionString: settings.url,
    max: settings.poolMax,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs + 500,
    ...(settings.pooled ? {} : endsInPostgres(timeoutMs)),
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: 'keyturn',
  });
  const connect = pool.connect.bind(pool);
  const timed = (callback?: Connected): Promise<pg.PoolClient> | void => {
    const startedMs = monotonicMs();
    const done = () => waited((monotonicMs() - startedMs) / 1000);
    if (!callback) return connect().finally(done);
    connect((error, client, release) => {
      done();
      callback(error, client, release);
    });
  };
  return Object.assign(pool, { connect: timed });
}
