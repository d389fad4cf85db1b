import pg from 'pg';
import { jittered } from '../../lib/clock.ts';
import type { Logger } from '../log.ts';
import { makeClient } from './client.ts';
import { directConnection, noTimeouts } from './connection.ts';

export interface Listener {
  close(): Promise<void>;
}

export interface ListenerOptions {
  /** The URL of Postgres itself, because LISTEN keeps its connection, which a pooler in transaction mode does not allow. */
  url: string;
  channel: string;
  /** Called for each notification, and after each connect because notifications may have been missed. */
  onNotification: () => void;
  /** Called for each error of the connection. */
  onError: (error: unknown) => void;
  log: Logger;
}

const connectTimeoutMs = 5000;
const reconnectDelayMs = 1000;
/** TCP keep-alive detects a server that vanished. Until then the caller's polling covers the gap. */
const keepAliveDelayMs = 10_000;

/** Listens on a dedicated connection and reconnects forever. Logs once when the connection is lost and once when it is back. */
export function openListener({ url, channel, onNotification, onError, log }: ListenerOptions): Listener {
  const connection = directConnection(url, noTimeouts); // once, because a reconnect must not fail if a certificate file is missing
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let lost = false;

  const lose = (which: pg.Client, error?: Error) => {
    if (which !== client || closed) return;
    client = undefined;
    void which.end().catch(() => {});
    if (error) onError(error);
    if (!lost)
      log.warn(
        { reason: error?.message ?? 'closed' },
        'lost the connection that listens for notifications; polling continues',
      );
    lost = true;
    timer = setTimeout(connect, jittered(reconnectDelayMs)).unref();
  };

  const connect = () => {
    const mine = makeClient({
      ...connection,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveDelayMs,
      application_name: 'keyturn-listen',
    });
    client = mine;
    mine.on('error', (error) => lose(mine, error));
    mine.on('end', () => lose(mine));
    mine.on('notification', onNotification);
    void (async () => {
      try {
        await mine.connect();
        await mine.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      } catch (error) {
        return lose(mine, error as Error);
      }
      if (lost) log.info('listening for notifications again');
      lost = false;
      onNotification();
    })();
  };

  connect();
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      await client?.end().catch(() => {});
    },
  };
}
