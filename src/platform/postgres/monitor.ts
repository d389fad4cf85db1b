import type pg from 'pg';
import { monotonicMs } from '../../lib/clock.ts';
import { makeClient } from './client.ts';
import { type PoolConfig, sessionOf } from './pool.ts';

export interface DatabaseMonitor {
  /** Resolves after the first check, whatever its result. */
  start(): Promise<void>;
  /** Whether Postgres responds and accepts writes, as of the last check. False before the first one. */
  isUp: () => boolean;
  stop(): void;
}

const intervalMs = 1000;
/** Later than one slow response: it must not report an outage. */
const silenceMs = 3000;
/** A connection to a server that hangs is kept for a while, so that repeated checks do not pile up there. */
const patienceMs = 10_000;

/**
 * Checks once per second, on a connection of its own, whether Postgres responds: readers need not wait, and a busy pool is not an
 * outage. A lost connection is opened again immediately; if that fails, Postgres is down. It is also down if it has not responded for
 * three seconds, or is a read-only standby after a failover.
 */
export function makeDatabaseMonitor(config: PoolConfig): DatabaseMonitor {
  const connection: pg.ClientConfig = {
    ...sessionOf(config, { statementMs: patienceMs, idleInTransactionMs: patienceMs }),
    connectionTimeoutMillis: patienceMs,
    query_timeout: patienceMs,
    keepAlive: true,
    application_name: 'keyturn-monitor',
  };
  let respondedAtMs = -Infinity;
  let client: pg.Client | undefined;
  let stopped = false;
  let endPause = () => {};
  let onFirstCheck = () => {};
  const firstCheck = new Promise<void>((resolve) => (onFirstCheck = resolve));

  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, intervalMs).unref();
      endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  /** Checks until the connection is lost. Returns how often Postgres responded on it. */
  const watch = async (): Promise<number> => {
    let isLost = false;
    let responses = 0;
    const lose = () => {
      isLost = true;
      endPause();
    };
    const mine = makeClient(connection).on('error', lose).on('end', lose);
    client = mine;
    try {
      await mine.connect();
      while (!isLost && !stopped) {
        const { rows } = await mine.query<{ readOnly: string }>(
          `SELECT current_setting('transaction_read_only') AS "readOnly"`,
        );
        if (rows[0]?.readOnly !== 'off') return 0; // connects again, perhaps to the new primary
        respondedAtMs = monotonicMs();
        responses += 1;
        onFirstCheck();
        await pause();
      }
    } catch {
      // Why is in the log already: the requests that need the database fail for the same reason.
    } finally {
      void mine.end().catch(() => {}); // not awaited, because a server that hangs never confirms it
    }
    return responses;
  };

  const watchForever = async () => {
    while (!stopped) {
      const responses = await watch();
      if (responses === 0) {
        respondedAtMs = -Infinity;
        onFirstCheck();
      }
      if (responses < 2 && !stopped) await pause(); // never more than two connections per second
    }
  };

  return {
    start() {
      void watchForever();
      return firstCheck;
    },
    isUp: () => monotonicMs() - respondedAtMs < silenceMs,
    stop() {
      stopped = true;
      endPause();
      void client?.end().catch(() => {});
    },
  };
}
