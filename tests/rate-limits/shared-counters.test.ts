import { expect, jest, test } from '@jest/globals';
import { makeSharedCounters } from '../../src/http/rate-limits/counters.ts';
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

test('an event that was counted in Redis is not subtracted from the counter in memory', async () => {
  const server = await startRedis();
  const redis = openRedis(server.url, makeLogger({ level: 'silent', pretty: false }));
  const counters = makeSharedCounters(redis, 'test:', 60);
  const count = async () => (await counters.add('ada')).count;
  try {
    await until(redis.isUp);
    server.pause();
    expect([await count(), await count(), await count()]).toEqual([1, 2, 3]);
    expect(redis.isUp()).toBe(false);
    server.resume();
    await until(redis.isUp);
    await count();
    server.pause();
    await counters.subtract('ada');
    expect([redis.isUp(), await count()]).toEqual([false, 4]);
    server.resume();
    await until(redis.isUp);
    // Redis counted the first event, whose reply was late, and the fourth, which was subtracted when it replied again.
    expect(await count()).toBe(2);
  } finally {
    redis.close();
    await server.kill();
  }
});

test('an event that was counted in memory is not subtracted in Redis', async () => {
  const server = await startRedis();
  const redis = openRedis(server.url, makeLogger({ level: 'silent', pretty: false }));
  const counters = makeSharedCounters(redis, 'test:', 60);
  try {
    server.pause();
    await counters.add('ada');
    server.resume();
    await until(redis.isUp);
    await counters.subtract('ada');
    expect(await counters.add('ada')).toEqual({ count: 1, endsInMs: 60_000 });
  } finally {
    redis.close();
    await server.kill();
  }
});

test.each(['OK', 'PONG', 0, ['OK', 'OK'], [3, -1], []])(
  'a server that responds with %j to a count is no Redis, and limits still apply',
  async (reply) => {
    const counters = makeSharedCounters({ isUp: () => true, send: async () => reply, close() {} }, 'test:', 60);
    const counted = [await counters.add('ada'), await counters.add('ada')];
    expect(counted.map(({ count }) => count)).toEqual([1, 2]);
  },
);
