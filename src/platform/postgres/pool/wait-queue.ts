import { monotonicMs } from '../../../lib/clock.ts';
import type { Availability } from './availability.ts';
import { PoolError } from './causes.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** A caller that waits for a connection. */
export interface Waiter {
  startedMs: number;
  use: (connection: PooledConnection) => void;
  fail: (error: Error) => void;
}

/** More than a process accepts connections (http/server/connections.ts), with its jobs. */
const maxWaiting = 5000;

/** Callers in the order in which they came, each with its deadline. */
export class WaitQueue {
  readonly #timers = new Map<Waiter, NodeJS.Timeout>();
  readonly #timeoutMs: number;
  readonly #availability: Availability;

  constructor(timeoutMs: number, availability: Availability) {
    this.#timeoutMs = timeoutMs;
    this.#availability = availability;
  }

  get size(): number {
    return this.#timers.size;
  }

  /** `outageError` returns why no connection can be opened, if that is so at the deadline. */
  add(waiter: Waiter, outageError: () => Error | undefined): void {
    if (this.size >= maxWaiting)
      return this.refuse(waiter, new PoolError('pool_exhausted', 'too many statements wait for a connection'));
    const expire = () => {
      this.#timers.delete(waiter);
      const full = new PoolError('pool_exhausted', 'no database connection became free in time');
      this.refuse(waiter, outageError() ?? full);
    };
    this.#timers.set(waiter, setTimeout(expire, waiter.startedMs + this.#timeoutMs - monotonicMs()));
  }

  /** Removes and returns the first caller. */
  take(): Waiter | undefined {
    for (const [waiter, timer] of this.#timers) {
      clearTimeout(timer);
      this.#timers.delete(waiter);
      return waiter;
    }
    return undefined;
  }

  refuse({ fail }: Pick<Waiter, 'fail'>, error: Error): void {
    this.#availability.failed(error);
    fail(error);
  }

  refuseAll(error: Error): void {
    for (let waiter = this.take(); waiter; waiter = this.take()) this.refuse(waiter, error);
  }
}
