// The RateLimit fields are structured fields (RFC 9651): a list of strings with parameters.
import type { Response } from 'supertest';

export interface Limit {
  group: string;
  /** Remaining requests, and seconds until the reset. */
  left: number;
  resetSeconds: number;
  quota: number;
  windowSeconds: number;
}

const field = /^"(\w+)"; r=(\d+); t=(\d+)$/;
const policy = /^"(\w+)"; q=(\d+); w=(\d+); pk=:[\w+/=]+:$/;

/** The limit that a response describes. @throws if a field is missing or malformed */
export function rateLimitOf({ headers, status }: Response): Limit {
  const [, group, left, reset] = field.exec(String(headers['ratelimit'])) ?? [];
  const [, name, quota, window] = policy.exec(String(headers['ratelimit-policy'])) ?? [];
  if (group === undefined || group !== name)
    throw new Error(`${status}: RateLimit ${headers['ratelimit']}, RateLimit-Policy ${headers['ratelimit-policy']}`);
  return {
    group,
    left: Number(left),
    resetSeconds: Number(reset),
    quota: Number(quota),
    windowSeconds: Number(window),
  };
}
