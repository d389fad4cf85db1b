import pg from 'pg';
import { jittered } from '../lib/clock.ts';
import type { Logger } from './log.ts';

export interface Listener {
  close(): Promise<void>;
}

export interface Listening {
  /** Postgres itself: LISTEN holds on to its connection, which a pooler in transaction mode takes away. */
  url: string;
  channel: string;
  /** Called for each notification, and after each connect, as any number may have been missed before. */
  onNews: () => void;
  log: Logger;
}

const connectWithinMs = 5000;
const reconnectAfterMs = 1000;
/** A server that vanished without a word is noticed by TCP; whoever listens polls as well. */
const keepAliveAfterMs = 10_000;

/** Listens on a connection of its own, for ever; one log line when it is lost and one when it is back. */
export function openListener({ url, channel, onNews, log }: Listening): Listener {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let lost = false;

  const lose = (which: pg.Client, error?: Error) => {
    if (which !== client || closed) return;
    client = undefined;
    void which.end().catch(() => {});
    if (!lost) log.warn({ reason: error?.message ?? 'closed' }, 'not listening to Postgres; polling goes on');
    lost = true;
    timer = setTimeout(connect, jittered(reconnectAfterMs)).unref();
  };

  const connect = () => {
    const mine = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: connectWithinMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveAfterMs,
      application_name: 'keyturn-listen',
    });
    client = mine;
    mine.on('error', (error) => lose(mine, error));
    mine.on('end', () => lose(mine));
    mine.on('notification', onNews);
    void (async () => {
      try {
        await mine.connect();
        await mine.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      } catch (error) {
        return lose(mine, error as Error);
      }
      if (lost) log.info('listening to Postgres again');
      lost = false;
      onNews();
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
