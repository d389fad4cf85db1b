import { monotonicMs } from '../../lib/clock.ts';
import { Overloaded } from '../../lib/errors.ts';

export interface HashQueueConfig {
  /** The maximum number of concurrent jobs, less than the size of the thread pool. */
  concurrency: number;
  /** The maximum number of waiting jobs. */
  queueMax: number;
}

export interface HashQueue {
  /** Runs a job after the jobs before it. @throws Overloaded if the queue is full, or the reason of `signal` if it aborts first */
  run<Result>(signal: AbortSignal, job: () => Promise<Result>): Promise<Result>;
  size: () => { running: number; waiting: number };
}

/** The weight of the newest job in the moving average of durations. */
const newestWeight = 1 / 8;

/**
 * Runs jobs in order. A job whose client disconnects leaves the queue. Otherwise clients that disconnect could keep the queue
 * full at no cost. `onWait` receives the seconds that each job waited.
 */
export function makeHashQueue(
  { concurrency, queueMax }: HashQueueConfig,
  onWait: (seconds: number) => void,
): HashQueue {
  const waiting: (() => void)[] = [];
  let running = 0;
  let meanSeconds = 0.1;

  /** A job that ends passes its place directly to the next one, so that no new job can overtake it. */
  const release = (startedMs: number) => {
    meanSeconds += ((monotonicMs() - startedMs) / 1000 - meanSeconds) * newestWeight;
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  };

  const wait = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const leave = () => {
        waiting.splice(waiting.indexOf(enter), 1);
        reject(signal.reason as Error);
      };
      const enter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      waiting.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });

  return {
    async run(signal, job) {
      signal.throwIfAborted();
      const enqueuedMs = monotonicMs();
      if (running < concurrency) running += 1;
      else if (waiting.length < queueMax) await wait(signal);
      else throw new Overloaded('hash queue', (queueMax * meanSeconds) / concurrency);
      const startedMs = monotonicMs();
      onWait((startedMs - enqueuedMs) / 1000);
      try {
        return await job();
      } finally {
        release(startedMs);
      }
    },
    size: () => ({ running, waiting: waiting.length }),
  };
}
