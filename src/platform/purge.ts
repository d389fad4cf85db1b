import type { Logger } from './log.ts';
import { sentenceOf } from './postgres.ts';

const everyMs = 5 * 60_000;
const batch = 500;

export interface Purge {
  /** Resolves when the batch that runs is done. */
  stop(): Promise<void>;
}

/** Deletes up to `batch` dead rows, and tells how many. */
export type DeleteBatch = (batch: number) => Promise<number>;

/** Deletes what is dead in small batches, off the request path: now and every five minutes. */
export function startJobs(deletions: readonly DeleteBatch[], log: Logger): Purge {
  let running: Promise<void> = Promise.resolve();
  let stopped = false;

  const run = async () => {
    try {
      for (const deleteBatch of deletions) while (!stopped && (await deleteBatch(batch)) === batch);
    } catch (error) {
      log.warn({ reason: sentenceOf(error) }, 'dead rows were not purged; trying again later');
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
