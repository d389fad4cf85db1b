import pg from 'pg';
import { monotonicMs } from '../../lib/clock.ts';
import { directConnection, pooledConnection, type ServerTimeouts } from './connection.ts';

export interface PoolConfig {
  url: string;
  poolMax: number;
  timeoutSeconds: number;
  /** Whether the connection goes through a PgBouncer, which rejects settings of the session. The role must have them. */
  pooled: boolean;
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: unknown) => void,
) => void;

/** The parameters of a connection to `DATABASE_URL`. @throws ConnectionUrlError */
export const sessionOf = ({ url, pooled }: PoolConfig, timeouts: ServerTimeouts): pg.ClientConfig =>
  pooled ? pooledConnection(url) : directConnection(url, timeouts);

/**
 * Opens the connection pool of one process. It connects at the first query. `onWait` receives the seconds that each query or transaction
 * waited for a connection. Waits and queries end after DATABASE_TIMEOUT: in Postgres by statement_timeout, and here in case Postgres
 * hangs.
 */
export function openPool(config: PoolConfig, onWait: (seconds: number) => void): pg.Pool {
  const timeoutMs = config.timeoutSeconds * 1000;
  const serverTimeouts = { statementMs: timeoutMs, idleInTransactionMs: timeoutMs + 1000 };
  const pool = new pg.Pool({
    ...sessionOf(config, serverTimeouts),
    max: config.poolMax,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs + 500,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: 'keyturn',
  });
  const connect = pool.connect.bind(pool);
  const timedConnect = (callback?: Connected): Promise<pg.PoolClient> | void => {
    const startedMs = monotonicMs();
    const done = () => onWait((monotonicMs() - startedMs) / 1000);
    if (!callback) return connect().finally(done);
    connect((error, client, release) => {
      done();
      callback(error, client, release);
    });
  };
  return Object.assign(pool, { connect: timedConnect });
}
