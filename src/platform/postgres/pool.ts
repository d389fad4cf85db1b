import { EventEmitter } from 'node:events';
import pg from 'pg';
import { monotonicMs } from '../../lib/clock.ts';
import { type Availability, unobserved } from './pool/availability.ts';
import { PoolError } from './pool/causes.ts';
import { directConnection, pooledConnection, type ServerTimeouts } from './connection.ts';
import { Connections } from './pool/connections.ts';
import type { PooledConnection } from './pool/pooled-connection.ts';

export interface PoolConfig {
  url: string;
  poolMax: number;
  timeoutSeconds: number;
  /** Whether the connection goes through a PgBouncer, which rejects settings of the session. The role must have them. */
  pooled: boolean;
}

/** The pool of one process. Prisma's adapter accepts only a `pg.Pool`; everything that it calls is replaced. */
export interface Pool extends pg.Pool {
  readonly connections: Connections;
}

type Statement = string | pg.QueryConfig;

/** The parameters of a connection to `DATABASE_URL`. @throws ConnectionUrlError */
export const sessionOf = ({ url, pooled }: PoolConfig, timeouts: ServerTimeouts): pg.ClientConfig =>
  pooled ? pooledConnection(url) : directConnection(url, timeouts);

/**
 * Opens the connection pool of one process. It connects at the first query. `onWait` receives the seconds that each query or transaction
 * waited for a connection. The wait and the query or transaction together end after DATABASE_TIMEOUT: in Postgres by statement_timeout,
 * and here in case Postgres hangs.
 */
export function openPool(
  config: PoolConfig,
  onWait: (seconds: number) => void = () => {},
  availability: Availability = unobserved,
): Pool {
  const timeoutMs = config.timeoutSeconds * 1000;
  const serverTimeouts = { statementMs: timeoutMs, idleInTransactionMs: timeoutMs + 1000 };
  const client: pg.ClientConfig = {
    ...sessionOf(config, serverTimeouts),
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    application_name: 'keyturn',
  };
  const connections = new Connections({ client, max: config.poolMax, timeoutMs, availability, onWait });

  const query = (statement: Statement): Promise<pg.QueryResult> =>
    new Promise((resolve, reject) => {
      const startedMs = monotonicMs();
      let isRepeated = false;
      const attempt = () => connections.acquire({ startedMs, use: execute, fail: reject });
      const execute = (connection: PooledConnection) => {
        connection.fail = reject;
        connection.query(statement, (error, result) => {
          if (connection.fail !== reject) return; // after the deadline
          connections.release(connection);
          if (error) availability.failed(error);
          else availability.succeeded();
          if (!error) resolve(result);
          // A pooler reports its own shutdown in the same way while the statement runs.
          else if (!config.pooled && !isRepeated && connection.hasExecutedNothing(error)) {
            isRepeated = true; // once, because a server that always reports it would cause connections without end
            attempt();
          } else reject(error);
        });
      };
      attempt();
    });

  const connect = (): Promise<PoolClient> =>
    new Promise((resolve, reject) =>
      connections.acquire({
        startedMs: monotonicMs(),
        use: (connection) => resolve(new PoolClient(connection, connections, availability)),
        fail: reject,
      }),
    );

  const own = { connections, query, connect, end: () => connections.end() };
  return Object.assign<pg.Pool, object>(new pg.Pool({ max: config.poolMax }), own) as Pool;
}

/** Statements that end a transaction; `ROLLBACK TO` a savepoint does not. */
const ending = /^\s*(COMMIT|END|ROLLBACK|ABORT)\b(?!.*\bTO\b)/i;
const endedError = () => new PoolError('no_response', 'the transaction has ended');

/**
 * What `pg` calls a client of a pool: a connection for a transaction. After the deadline of its acquisition, each statement fails, and also
 * after the end of the transaction: it would be committed on its own, or run in the transaction of another caller.
 */
class PoolClient extends EventEmitter {
  readonly #connection: PooledConnection;
  readonly #connections: Connections;
  readonly #availability: Availability;
  readonly #running = new Set<(error: Error) => void>();
  #end: Error | undefined;
  #isReleased = false;
  #hasEnded = false;

  constructor(connection: PooledConnection, connections: Connections, availability: Availability) {
    super();
    this.#connection = connection;
    this.#connections = connections;
    this.#availability = availability;
    connection.fail = (error) => {
      this.#end = error;
      for (const reject of this.#running) reject(error);
    };
  }

  query(statement: Statement): Promise<pg.QueryResult> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end);
      if (this.#isReleased || this.#hasEnded) return reject(endedError());
      this.#hasEnded = ending.test(typeof statement === 'string' ? statement : statement.text);
      this.#running.add(reject);
      this.#connection.query(statement, (error, result) => {
        this.#running.delete(reject);
        if (this.#end) return; // after the deadline
        if (error) this.#availability.failed(error);
        else this.#availability.succeeded();
        if (error) reject(error);
        else resolve(result);
      });
    });
  }

  /** Returns the connection to the pool. A transaction that is still open ends with the connection. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#connections.release(this.#connection);
  }
}
