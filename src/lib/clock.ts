/** The only reader of the time. Postgres decides what has expired; this clock stamps tokens and measures durations. */
export interface Clock {
  /** Seconds since the epoch, whole (NumericDate, RFC 7519 section 2). */
  nowSeconds(): number;
  /** Milliseconds since the epoch. */
  nowMs(): number;
}

export const systemClock: Clock = {
  nowSeconds: () => Math.floor(Date.now() / 1000),
  nowMs: () => Date.now(),
};

/** Milliseconds on a clock that never steps back; good for differences only. */
export const monotonicMs = (): number => performance.now();

/** A time around `ms`, a fifth more or less, so that processes that start together do not act together. */
export const jittered = (ms: number): number => ms * (0.8 + 0.4 * Math.random());
