import { expect, jest, test } from '@jest/globals';
import type { Options } from 'express-rate-limit';
import { SharedCounters } from '../../src/http/shared-counters.ts';
import { makeLogger } from '../../src/platform/log.ts';
import { openRedis } from '../../src/platform/redis.ts';
import { startRedis } from '../support/redis-server.ts';

jest.setTimeout(30_000);

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 500) throw new Error('not within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a request counted in Redis is not subtracted from the counter in memory', async () => {
  const server = await startRedis();
  const redis = openRedis(server.url, makeLogger({ level: 'silent', pretty: false }));
  const counters = new SharedCounters(redis, 'test:');
  counters.init({ windowMs: 60_000 } as Options);
  const count = async () => (await counters.increment('ada')).totalHits;
  try {
    await until(redis.isUp);
    server.pause();
    expect([await count(), await count(), await count()]).toEqual([1, 2, 3]);
    expect(redis.isUp()).toBe(false);
    server.resume();
    await until(redis.isUp);
    await count();
    server.pause();
    await counters.decrement('ada');
    expect([redis.isUp(), await count()]).toEqual([false, 4]);
    server.resume();
    await until(redis.isUp);
    // Redis counted the first request, whose response was late, and the fourth, which was subtracted once Redis responded again.
    expect(await count()).toBe(2);
  } finally {
    redis.close();
    counters.shutdown();
    await server.kill();
  }
});
