import type pg from 'pg';
import { monotonicMs } from '../../../lib/clock.ts';
import { makeClient } from '../client.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** Postgres usually closes a connection within milliseconds. */
const confirmMs = 1000;
const checkTimeoutMs = 2000;

/**
 * The age distinguishes our process from another one that has its pid, for example on the standby that was promoted. A role may end its
 * own connections, but not as the role that ALTER ROLE … SET role makes it, which does not even see their age. A commit that waits for a synchronous standby is left alone: ending the wait would make the change visible, and the
 * next read would confirm to a client what a failover can still undo.
 */
const terminateSql = `
  SELECT mine.pid,
         CASE WHEN activity.wait_event IS DISTINCT FROM 'SyncRep' THEN pg_terminate_backend(mine.pid) END AS terminated
  FROM unnest($1::int[], $2::float8[]) AS mine (pid, age)
  JOIN pg_stat_activity AS activity ON activity.pid = mine.pid AND activity.usename = session_user
   AND coalesce(abs(extract(epoch FROM clock_timestamp() - activity.backend_start) - mine.age) < 10, true)`;

/** Ends the processes in Postgres, which takes a moment, and returns the pids of those that still exist. @throws if it cannot connect */
async function terminate(config: pg.ClientConfig, connections: readonly PooledConnection[]): Promise<Set<number>> {
  const nowMs = monotonicMs();
  const client = makeClient({
    ...config,
    connectionTimeoutMillis: checkTimeoutMs,
    query_timeout: checkTimeoutMs,
    application_name: 'keyturn-cleanup',
  });
  client.on('error', () => {});
  await client.connect();
  try {
    const values = [connections.map(pidOf), connections.map(({ openedMs }) => (nowMs - openedMs) / 1000)];
    await client.query('BEGIN; SET LOCAL ROLE NONE');
    const { rows } = await client.query<{ pid: number }>(terminateSql, values);
    await client.query('COMMIT');
    return new Set(rows.map(({ pid }) => pid));
  } finally {
    void client.end().catch(() => {});
  }
}

const pidOf = ({ client }: PooledConnection): number => client.processID ?? 0;

/** Connections that are no longer used and that Postgres has not closed yet. */
export class ClosingConnections {
  readonly #since = new Map<PooledConnection, number>();
  readonly #config: pg.ClientConfig;
  #isChecking = false;
  #isWaiting = true;

  constructor(config: pg.ClientConfig) {
    this.#config = config;
  }

  get size(): number {
    return this.#since.size;
  }

  add(connection: PooledConnection): void {
    this.#since.set(connection, monotonicMs());
    if (!this.#isWaiting) connection.client.unref();
  }

  delete(connection: PooledConnection): void {
    this.#since.delete(connection);
  }

  /**
   * Ends what Postgres has not closed in time, on a connection of its own. Postgres may run a statement, may have lost the network
   * connection and wait on its side, or be another server after a failover. What still exists there continues to count.
   */
  check(): void {
    const latestMs = monotonicMs() - confirmMs;
    const overdue = [...this.#since].filter(([, sinceMs]) => sinceMs < latestMs).map(([connection]) => connection);
    if (overdue.length === 0 || this.#isChecking) return;
    this.#isChecking = true;
    void terminate(this.#config, overdue)
      .then((remaining) => {
        for (const connection of overdue) if (!remaining.has(pidOf(connection))) connection.destroy();
      })
      .catch(() => {}) // unreachable, so the pool cannot connect either
      .finally(() => (this.#isChecking = false));
  }

  /** Lets the process end while they are open, and while those are that follow. */
  stopWaiting(): void {
    this.#isWaiting = false;
    for (const connection of this.#since.keys()) connection.client.unref();
  }
}
