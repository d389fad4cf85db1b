import { createRequire } from 'node:module';
import type { Logger } from './log.ts';

type Reply = string | number | (string | number)[];

/** A Redis that may become unavailable. Commands take at most `timeoutMs`; while Redis is known to be down they are not sent. */
export interface Redis {
  /** Whether the last command succeeded. */
  isUp: () => boolean;
  /** Sends one command. Rejects if Redis reports an error or does not reply in time. */
  send(...command: string[]): Promise<Reply>;
  close(): void;
}

const timeoutMs = 140;
/** The timeout is split into steps. A blocked event loop delays a step, so a burst of requests does not look like a dead Redis. */
const timeoutSteps = 5;
const probeIntervalMs = 1000;
/** A connection without traffic for this long is replaced: a working one transports a PING every second. */
const maxSilenceMs = 5000;

const withTimeout = async <Value>(reply: Promise<Value>): Promise<Value> => {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    const wait = (steps: number) => {
      if (steps === 0) return reject(new Error(`no reply within ${timeoutMs} ms`));
      timer = setTimeout(wait, timeoutMs / timeoutSteps, steps - 1);
    };
    wait(timeoutSteps);
  });
  return Promise.race([reply, timeout]).finally(() => clearTimeout(timer));
};

/** Connects in the background and keeps trying. Logs one line when Redis becomes unavailable and one when it is available again. */
export function openRedis(url: string, log: Logger): Redis {
  // Loaded only when it is used, because the package takes a fifth of the time of a start.
  const { createClient } = createRequire(import.meta.url)('redis') as typeof import('redis');
  const client = createClient({
    url,
    name: 'keyturn',
    // Commands that wait for a reconnection would delay their requests.
    disableOfflineQueue: true,
    pingInterval: probeIntervalMs,
    socket: { connectTimeout: 1000, socketTimeout: maxSilenceMs, reconnectStrategy: probeIntervalMs },
  });
  let state: 'unknown' | 'up' | 'down' = 'unknown';
  let closed = false;
  /** Whether a probe is waiting for its reply. On a dead connection, probes would pile up. */
  let probing = false;

  const markDown = (error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    if (state !== 'down' && !closed)
      log.warn({ reason: code ?? message }, 'Redis is unavailable: each process counts on its own');
    state = 'down';
  };

  /** Writes, as the counters do. PING would also succeed on a replica and on a full Redis. */
  const probe = async () => {
    if (state === 'up' || probing || !client.isReady) return;
    try {
      const reply = client.sendCommand(['SET', 'keyturn:probe', '1', 'PX', '1000']);
      probing = true;
      const finish = () => void (probing = false);
      reply.then(finish, finish);
      await withTimeout(reply);
      if (state === 'down') log.info('Redis is available again: all processes count together');
      state = 'up';
    } catch (error) {
      markDown(error);
    }
  };

  client.on('error', markDown).on('ready', () => void probe());
  const timer = setInterval(() => void probe(), probeIntervalMs).unref();
  client.connect().catch(markDown);

  return {
    isUp: () => state === 'up',
    async send(...command) {
      try {
        return (await withTimeout(client.sendCommand(command))) as Reply;
      } catch (error) {
        markDown(error);
        throw error;
      }
    },
    close() {
      closed = true;
      clearInterval(timer);
      client.destroy();
    },
  };
}
