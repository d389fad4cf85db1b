import type { Logger } from '../../platform/log.ts';
import { type Database, sentenceOf } from '../../platform/postgres.ts';
import { purgeSessions } from './purge.store.ts';

const everyMs = 5 * 60_000;
const batch = 500;

export interface Purge {
  /** Resolves when the batch that runs is done. */
  stop(): Promise<void>;
}

/** Removes dead sessions in small batches, off the request path: now and every five minutes. */
export function startSessionPurge(db: Database, log: Logger): Purge {
  let running: Promise<void> = Promise.resolve();
  let stopped = false;

  const run = async () => {
    try {
      while (!stopped && (await purgeSessions(db, batch)) === batch);
    } catch (error) {
      log.warn({ reason: sentenceOf(error) }, 'dead sessions were not purged; trying again later');
    }
  };

  running = run();
  const timer = setInterval(() => (running = run()), everyMs).unref();
  return {
    stop() {
      stopped = true;
      clearInterval(timer);
      return running;
    },
  };
}
