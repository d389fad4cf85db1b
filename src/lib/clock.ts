/**
 * The wall clock of this process. It provides the times in access tokens, judges their expiry, and orders ids. Everything that
 * Postgres stores is compared with the clock of Postgres (docs/decisions/0021-one-clock-per-comparison.md).
 */
export interface Clock {
  /** Whole seconds since the epoch (NumericDate, RFC 7519 section 2). */
  nowSeconds(): number;
  /** Milliseconds since the epoch. */
  nowMs(): number;
}

export const systemClock: Clock = {
  nowSeconds: () => Math.floor(Date.now() / 1000),
  nowMs: () => Date.now(),
};

const maxAheadMs = 3653 * 86_400_000;

/**
 * Whether a time from a request is at most ten years ahead. Later ones are mistakes, and RFC 3339 and the driver of Postgres
 * end with the year 9999. False for an invalid time.
 */
export const isWithinTenYears = (ms: number, nowMs: number): boolean => ms <= nowMs + maxAheadMs;

/** Milliseconds on a monotonic clock, for durations only. */
export const monotonicMs = (): number => performance.now();

/** Varies a delay by up to 20%, so that processes that start together do not act at the same times. */
export const jittered = (ms: number): number => ms * (0.8 + 0.4 * Math.random());
