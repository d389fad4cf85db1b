import { KeyturnError } from './errors.ts';

const firstWaitMs = 250;
const longestWaitMs = 5000;

/** Doubles, and is anything from half to all of it: those whom one fault hit must not come back together. */
const backOffMs = (tries: number): number =>
  Math.min(firstWaitMs * 2 ** tries, longestWaitMs) * (0.5 + Math.random() / 2);

export interface Patience {
  patienceMs: number;
  signal?: AbortSignal | undefined;
}

/** Repeats what failed for now, after `Retry-After`, for as long as there is patience. @throws KeyturnError the last one */
export async function persist<T>(attempt: () => Promise<T>, { patienceMs, signal }: Patience): Promise<T> {
  const deadlineMs = Date.now() + patienceMs;
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof KeyturnError && error.isTemporary)) throw error;
      const waitMs = Math.max(error.retryAfterSeconds * 1000, backOffMs(tries));
      if (Date.now() + waitMs > deadlineMs) throw error;
      await sleep(waitMs, signal);
    }
  }
}

const sleep = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', settle);
      if (signal?.aborted) reject(new KeyturnError('superseded'));
      else resolve();
    };
    const timer = setTimeout(settle, ms);
    signal?.addEventListener('abort', settle);
    if (signal?.aborted) settle();
  });
