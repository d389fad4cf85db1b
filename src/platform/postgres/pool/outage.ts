import { jittered, monotonicMs } from '../../../lib/clock.ts';
import { isTransient } from './causes.ts';

/** Between two attempts to connect while callers wait, and while none does. */
const pauseMs = 25;
const quietPauseMs = 500;
/** If an attempt takes longer during an outage, further callers do not wait for it. */
const slowAttemptMs = 1000;

/** The time in which no connection can be opened, after the first attempt that failed. Then one attempt is made at a time. */
export class Outage {
  /** The error of the latest attempt; undefined without an outage. */
  error: Error | undefined;
  readonly #retryWindowMs: number;
  #retryWindowEndsMs = 0;
  #attemptedMs = 0;
  #hasConnected = false;
  #timer: NodeJS.Timeout | undefined;

  /** Half of the timeout, so that the other half remains for the statement, and a real outage is reported early. */
  constructor(timeoutMs: number) {
    this.#retryWindowMs = timeoutMs / 2;
  }

  /** An attempt begins. */
  attempt(): void {
    this.#attemptedMs = monotonicMs();
  }

  failed(error: Error): void {
    const retryWindowMs = this.#hasConnected ? this.#retryWindowMs : 0;
    if (!this.error) this.#retryWindowEndsMs = this.#attemptedMs + retryWindowMs;
    if (!isTransient(error)) this.#retryWindowEndsMs = 0;
    this.error = error;
  }

  succeeded(): void {
    this.#hasConnected = true;
    this.end();
  }

  end(): void {
    this.error = undefined;
    clearTimeout(this.#timer);
  }

  /** Whether it lasts longer than a restart of Postgres. Until then, callers wait for further attempts; later only for the next one. */
  get isRetryWindowOver(): boolean {
    return this.error !== undefined && monotonicMs() >= this.#retryWindowEndsMs;
  }

  /** Whether the current attempt hangs. */
  get isAttemptSlow(): boolean {
    return monotonicMs() - this.#attemptedMs > slowAttemptMs;
  }

  retryLater(retry: () => void, isAwaited: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(retry, jittered(isAwaited ? pauseMs : quietPauseMs)).unref();
  }
}
