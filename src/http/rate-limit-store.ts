import { type ClientRateLimitInfo, MemoryStore, type Options, type Store } from 'express-rate-limit';
import { RedisStore } from 'rate-limit-redis';
import type { Redis } from '../platform/redis.ts';

/**
 * `DECR` would make a counter that never ends of one that is not there: its window may be over, or have begun in memory
 * while Redis was away.
 */
const takeBack = `
  if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then return redis.call('DECR', KEYS[1]) end
  return 0`;

/**
 * Counters in Redis, for all processes; in this process' memory while Redis is away. It is never an error to count, and
 * there is never no limit.
 */
export class SharedCounters implements Store {
  readonly #redis: Redis;
  readonly #shared: RedisStore;
  readonly #own = new MemoryStore();

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#shared = new RedisStore({ prefix, sendCommand: (...command) => redis.send(...command) });
  }

  init(options: Options): void {
    this.#own.init(options);
    // It loads its scripts, which a Redis that was restarted has lost.
    this.#redis.onUp(() => this.#shared.init(options));
  }

  increment(key: string): Promise<ClientRateLimitInfo> {
    return this.#withRedis(
      () => this.#shared.increment(key),
      () => this.#own.increment(key),
    );
  }

  async decrement(key: string): Promise<void> {
    if (!this.#redis.isUp()) return this.#own.decrement(key);
    // Not then in memory, where it was not counted: a Redis that only hangs does it later, and it would be done twice.
    await this.#redis.send('EVAL', takeBack, '1', this.#shared.prefixKey(key)).catch(() => {});
  }

  resetKey(key: string): Promise<void> {
    return this.#withRedis(
      () => this.#shared.resetKey(key),
      () => this.#own.resetKey(key),
    );
  }

  async #withRedis<Result>(shared: () => Promise<Result>, own: () => Promise<Result>): Promise<Result> {
    if (!this.#redis.isUp()) return own();
    try {
      return await shared();
    } catch {
      return own(); // `redis` has told the log
    }
  }

  shutdown(): void {
    this.#own.shutdown();
  }
}
