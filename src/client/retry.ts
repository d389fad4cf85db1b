import { KeyturnError } from './errors.ts';

const minBackoffMs = 250;
const maxBackoffMs = 5000;

/** Exponential, with jitter so that the clients of one outage do not retry at the same time. */
const backoffMs = (failures: number): number =>
  Math.min(minBackoffMs * 2 ** failures, maxBackoffMs) * (0.5 + Math.random() / 2);

export interface RetryOptions {
  retryTimeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** Repeats `attempt` on temporary errors and honors Retry-After. @throws KeyturnError the last error */
export async function retry<T>(attempt: () => Promise<T>, { retryTimeoutMs, signal }: RetryOptions): Promise<T> {
  const deadlineMs = Date.now() + retryTimeoutMs;
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof KeyturnError && error.isTemporary)) throw error;
      const waitMs = Math.max(error.retryAfterSeconds * 1000, backoffMs(failures));
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
