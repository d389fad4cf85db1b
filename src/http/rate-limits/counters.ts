import { monotonicMs } from '../../lib/clock.ts';
import type { Redis } from '../../platform/redis.ts';

export interface Counted {
  /** The events of the key in this window, including the one that was just added. */
  count: number;
  /** The time until the window ends and the count restarts at zero. */
  endsInMs: number;
}

/** Counts events by key. The first event of a key opens a window of fixed length. */
export interface Counters {
  add(key: string): Promise<Counted>;
  /** Subtracts an event that turned out not to count. Never rejects. */
  subtract(key: string): Promise<void>;
}

/** Counters of one process. */
export function makeMemoryCounters(windowSeconds: number): Counters {
  /** Ordered by their ends, because all windows have the same length. */
  const windows = new Map<string, { count: number; endsMs: number }>();

  const dropEnded = (nowMs: number): void => {
    for (const [key, { endsMs }] of windows) {
      if (endsMs > nowMs) return;
      windows.delete(key);
    }
  };

  return {
    async add(key) {
      const nowMs = Math.round(monotonicMs());
      dropEnded(nowMs);
      const window = windows.get(key) ?? { count: 0, endsMs: nowMs + windowSeconds * 1000 };
      window.count += 1;
      windows.set(key, window);
      return { count: window.count, endsInMs: window.endsMs - nowMs };
    },
    async subtract(key) {
      dropEnded(monotonicMs());
      const window = windows.get(key);
      if (window && window.count > 0) window.count -= 1;
    },
  };
}

const addScript = `
  local count = redis.call('INCR', KEYS[1])
  local ends = redis.call('PTTL', KEYS[1])
  if ends < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    ends = tonumber(ARGV[1])
  end
  return {count, ends}`;

/** DECR alone would create a counter that never expires if the window has ended, or was opened in memory while Redis was down. */
const subtractScript = `
  if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then return redis.call('DECR', KEYS[1]) end
  return 0`;

/** Counters that all processes share. While Redis is unavailable, each process counts in memory, so a limit always applies. */
export function makeSharedCounters(redis: Redis, prefix: string, windowSeconds: number): Counters {
  const memory = makeMemoryCounters(windowSeconds);
  const windowMs = String(windowSeconds * 1000);
  return {
    async add(key) {
      if (!redis.isUp()) return memory.add(key);
      try {
        const reply = await redis.send('EVAL', addScript, '1', prefix + key, windowMs);
        const [count = 0, endsInMs = 0] = [reply].flat().map(Number);
        if (count >= 1 && endsInMs >= 0) return { count, endsInMs };
        return memory.add(key); // not a Redis: no limit would apply
      } catch {
        return memory.add(key); // the Redis adapter has logged the failure
      }
    },
    async subtract(key) {
      if (!redis.isUp()) return memory.subtract(key);
      // On failure the event stays counted. Subtracting it in memory would subtract an event that memory has not counted.
      await redis.send('EVAL', subtractScript, '1', prefix + key).catch(() => {});
    },
  };
}
