import type { Request, Response } from 'express';
import { MemoryStore, rateLimit, type Store } from 'express-rate-limit';
import { defineError } from '../lib/errors.ts';

/** Every endpoint belongs to one; its name stands in `RateLimit` and `RateLimit-Policy`. */
export type RateLimitGroup = 'login' | 'refresh' | 'mail' | 'default';

/** At most `count` requests of one client in a window, which begins with the first of them. */
export interface RateLimit {
  count: number;
  windowSeconds: number;
}

export class RateLimited extends defineError({
  status: 429,
  code: 'rate_limited',
  title: 'Too many requests',
  detail: 'There were too many requests from your side. Try again after the time in Retry-After.',
}) {
  constructor(group: RateLimitGroup) {
    super(group);
  }
}

/** Counts a request for `key`, and puts `RateLimit` and `RateLimit-Policy` on its answer. @throws RateLimited */
export type CountRequest = (group: RateLimitGroup, key: string, req: Request, res: Response) => Promise<void>;

export interface RateLimitOptions {
  rateLimits: Readonly<Record<RateLimitGroup, RateLimit>>;
  /** Where a group's counters are; undefined: in memory. */
  openCounters: (group: RateLimitGroup) => Store | undefined;
  onLimited: (group: RateLimitGroup) => void;
}

/**
 * A login counts until it has succeeded: one that is under way may be a guess, so no more of them run at once than may
 * fail. A fault of ours is no failure of theirs.
 */
const wasNoFailure = (_req: Request, { statusCode }: Response) => statusCode < 400 || statusCode >= 500;

export function makeCountRequest({ rateLimits, openCounters, onLimited }: RateLimitOptions): CountRequest {
  const keys = new WeakMap<Request, string>();
  const makeLimiter = (group: RateLimitGroup) => {
    const { count, windowSeconds } = rateLimits[group];
    const store = openCounters(group) ?? new MemoryStore();
    return rateLimit({
      store,
      limit: count,
      windowMs: windowSeconds * 1000,
      identifier: group,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      validate: false, // it warns of headers and keys that `context.ts` has judged already
      skipSuccessfulRequests: group === 'login',
      requestWasSuccessful: wasNoFailure,
      keyGenerator: (req) => keys.get(req) ?? '',
      handler(req, res, next) {
        // To be refused is no failure, or an office whose people all log in at once would be kept out by nobody's mistake.
        if (group === 'login') void store.decrement(keys.get(req) ?? '');
        res.setHeader('Retry-After', Math.max(1, Number(res.getHeader('Retry-After') ?? 1)));
        onLimited(group);
        next(new RateLimited(group));
      },
    });
  };
  const limiters = {
    login: makeLimiter('login'),
    refresh: makeLimiter('refresh'),
    mail: makeLimiter('mail'),
    default: makeLimiter('default'),
  };

  return (group, key, req, res) =>
    new Promise((resolve, reject) => {
      keys.set(req, key);
      void limiters[group](req, res, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
    });
}
