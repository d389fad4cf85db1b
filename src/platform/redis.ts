import { createClient, ErrorReply } from 'redis';
import type { Logger } from './log.ts';

/** A Redis that may go away. Nobody waits for it for longer than `patienceMs`, and while it is away nobody waits at all. */
export interface Redis {
  /** Whether it answered last. */
  isUp: () => boolean;
  /** Sends one command. @throws where it does not answer, at once where that is known */
  send(...command: string[]): Promise<string | number | (string | number)[]>;
  /** Calls back before Redis counts as up, each time: what was loaded into it may be gone. */
  onUp(listener: () => Promise<void>): void;
  close(): void;
}

/** How long a command may take. Twice of it, for a script that has to be loaded anew, stays below 300 ms. */
const patienceMs = 140;
/** Counted in parts, of which an event loop that is blocked takes one: a burst of requests is no fault of Redis. */
const partsOfPatience = 5;
const probeEveryMs = 1000;
/** A connection that carried nothing for so long is dead, and is replaced: a good one carries a PING every second. */
const silenceMs = 5000;

const withinPatience = async <Reply>(reply: Promise<Reply>): Promise<Reply> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const wait = (parts: number) => {
      if (parts === 0) return reject(new Error(`no answer within ${patienceMs} ms`));
      timer = setTimeout(wait, patienceMs / partsOfPatience, parts - 1);
    };
    wait(partsOfPatience);
  });
  return Promise.race([reply, late]).finally(() => clearTimeout(timer));
};

/** Connects in the background, for ever; one log line when Redis goes and one when it is back. */
export function openRedis(url: string, log: Logger): Redis {
  const client = createClient({
    url,
    name: 'keyturn',
    // A command that waits for Redis to come back would keep its request waiting, too.
    disableOfflineQueue: true,
    pingInterval: probeEveryMs,
    socket: { connectTimeout: 1000, socketTimeout: silenceMs, reconnectStrategy: probeEveryMs },
  });
  const listeners: (() => Promise<void>)[] = [];
  let state: 'unknown' | 'up' | 'down' = 'unknown';
  let closed = false;
  /** Whether a probe still waits for its answer: on a dead connection they would pile up. */
  let asked = false;

  const lose = (error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    if (state !== 'down' && !closed)
      log.warn({ reason: code ?? message }, 'Redis is away: each process counts for itself');
    state = 'down';
  };

  /** Asks for what the counters need, which is more than PING: a replica, or one that is full, refuses it. */
  const probe = async () => {
    if (state === 'up' || asked || !client.isReady) return;
    try {
      const answer = client.sendCommand(['SET', 'keyturn:probe', '1', 'PX', '1000']);
      asked = true;
      const forget = () => void (asked = false);
      answer.then(forget, forget);
      await withinPatience(answer);
      await Promise.all(listeners.map((listener) => listener()));
      if (state === 'down') log.info('Redis is back: all processes count together');
      state = 'up';
    } catch (error) {
      lose(error);
    }
  };

  client.on('error', lose).on('ready', () => void probe());
  const timer = setInterval(() => void probe(), probeEveryMs).unref();
  client.connect().catch(lose);

  return {
    isUp: () => state === 'up',
    onUp(listener) {
      listeners.push(listener);
      if (state === 'up') state = 'unknown';
      void probe();
    },
    async send(...command) {
      try {
        return (await withinPatience(client.sendCommand(command))) as string | number | (string | number)[];
      } catch (error) {
        if (!(error instanceof ErrorReply && error.message.startsWith('NOSCRIPT'))) lose(error);
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
