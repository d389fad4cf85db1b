import { monotonicMs } from '../../lib/clock.ts';
import { Overloaded } from '../../lib/errors.ts';
import { type Network, customerNetworkOf } from '../../lib/network.ts';

export interface HashQueueConfig {
  /** The maximum number of concurrent jobs, less than the size of the thread pool. */
  concurrency: number;
  /** The maximum number of waiting jobs. */
  queueMax: number;
}

/** The client that waits for a job. `signal` aborts the wait. */
export interface HashClient {
  network: Network;
  signal: AbortSignal;
}

export interface HashQueue {
  /** Runs a job in its turn. @throws Overloaded if the queue is full, or the reason of the client's signal if it aborts first */
  run<Result>(client: HashClient, job: () => Promise<Result>): Promise<Result>;
  size: () => { running: number; waiting: number };
}

interface Waiting {
  start: () => void;
  reject: (reason: Error) => void;
}

/** The weight of the newest job in the moving average of durations. */
const newestWeight = 1 / 8;

/** The waiting jobs of each network, in order. The networks take turns, so that a flood from one does not delay the others. */
function makeTurns() {
  /** The network whose turn is next comes first. */
  const lines = new Map<Network, Waiting[]>();
  let size = 0;
  const lengthOf = (network: Network): number => lines.get(network)?.length ?? 0;

  const remove = (network: Network, job: Waiting): void => {
    const line = lines.get(network) ?? [];
    line.splice(line.indexOf(job), 1);
    size -= 1;
    if (line.length === 0) lines.delete(network);
  };

  return {
    size: () => size,
    add(network: Network, job: Waiting): void {
      const line = lines.get(network) ?? [];
      line.push(job);
      lines.set(network, line);
      size += 1;
    },
    remove,
    next(): Waiting | undefined {
      for (const [network, line] of lines) {
        const [job] = line;
        if (!job) continue;
        remove(network, job);
        // Deleting and setting the key moves the network to the end.
        if (lines.delete(network)) lines.set(network, line);
        return job;
      }
      return undefined;
    },
    /** Removes the newest job of the network with the most jobs, if `network` has at least two fewer. */
    makeRoomFor(network: Network): Waiting | undefined {
      let longest = network;
      for (const other of lines.keys()) if (lengthOf(other) > lengthOf(longest)) longest = other;
      const newest = lines.get(longest)?.at(-1);
      if (!newest || lengthOf(network) + 2 > lengthOf(longest)) return undefined;
      remove(longest, newest);
      return newest;
    },
  };
}

/**
 * Runs jobs, one network after the other. If the queue is full, a job replaces the newest one of the network that has the most, so
 * that no network can keep the others out. A job whose client disconnects leaves the queue. Otherwise clients that disconnect could
 * keep the queue full at no cost. `onWait` receives the seconds that each job waited.
 */
export function makeHashQueue(
  { concurrency, queueMax }: HashQueueConfig,
  onWait: (seconds: number) => void,
): HashQueue {
  const waiting = makeTurns();
  let running = 0;
  let meanSeconds = 0.1;

  /** A job that ends passes its place directly to the next one, so that no new job can overtake it. */
  const release = (startedMs: number) => {
    meanSeconds += ((monotonicMs() - startedMs) / 1000 - meanSeconds) * newestWeight;
    const next = waiting.next();
    if (next) next.start();
    else running -= 1;
  };

  const overloaded = () => new Overloaded('hash queue', (queueMax * meanSeconds) / concurrency);

  const wait = (network: Network, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const settle = (act: () => void) => {
        signal.removeEventListener('abort', leave);
        act();
      };
      const job: Waiting = { start: () => settle(resolve), reject: (reason) => settle(() => reject(reason)) };
      const leave = () => {
        waiting.remove(network, job);
        reject(signal.reason as Error);
      };
      waiting.add(network, job);
      signal.addEventListener('abort', leave, { once: true });
    });

  const enter = async (network: Network, signal: AbortSignal): Promise<void> => {
    if (running < concurrency) return void (running += 1);
    if (waiting.size() >= queueMax) {
      const replaced = waiting.makeRoomFor(network);
      if (!replaced) throw overloaded();
      replaced.reject(overloaded());
    }
    await wait(network, signal);
  };

  return {
    async run({ network, signal }, job) {
      signal.throwIfAborted();
      const enqueuedMs = monotonicMs();
      await enter(customerNetworkOf(network), signal);
      const startedMs = monotonicMs();
      onWait((startedMs - enqueuedMs) / 1000);
      try {
        return await job();
      } finally {
        release(startedMs);
      }
    },
    size: () => ({ running, waiting: waiting.size() }),
  };
}
