// Counters in Redis and without it: two processes, and a Redis that is stopped, killed and restarted.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { startApp } from '../harness.ts';
import { freePort } from '../support/free-port.ts';
import { withRedis } from '../support/redis-client.ts';
import { createRedisDatabase } from '../support/redis-database.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { startWorkers, type Workers } from '../support/workers.ts';
import { rateLimitOf } from './fields.ts';

jest.setTimeout(90_000);

const limit = 10;
/** Twenty times what a request may wait for a Redis that hangs (150 ms), because the machine may be busy. */
const hangMs = 3000;

let redis: RedisServer;
let workers: Workers;
let metricsPort: number;

beforeAll(async () => {
  redis = await startRedis();
  metricsPort = await freePort();
  workers = await startWorkers({
    settings: { REDIS_URL: redis.url, TRUST_PROXY: '1', RATE_LIMIT_DEFAULT: `${limit}/10m` },
    first: { METRICS_PORT: String(metricsPort) },
  });
  await untilRedisIs('up');
});
afterAll(async () => {
  await workers.close();
  await redis.kill();
});

let ip = '';
let address = 0;
beforeEach(() => void (ip = `198.51.100.${(address += 1)}`));
afterEach(async () => {
  redis.resume();
  await untilRedisIs('up');
});

const sendRequest = (service: ServiceProcess, from = ip) =>
  service.call('get', '/openapi.json', { headers: { 'x-forwarded-for': from } });

const redisState = async (service: ServiceProcess) =>
  ((await service.get('/readyz')).body as { checks: { redis: string } }).checks.redis;

async function untilRedisIs(state: 'up' | 'down'): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const states = await Promise.all([workers.first, workers.second].map(redisState));
    if (states.every((each) => each === state)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Redis did not become ${state} in 10 s`);
}

const redisLines = (service: ServiceProcess) => service.lines.filter((line) => line.includes('Redis is'));

const redisUp = async (): Promise<string> =>
  /^keyturn_redis_up (\d)$/m.exec(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text())?.[1] ?? '';

/** Sends requests until one is refused. Returns how many passed and how long the slowest took. */
async function flood(from: string): Promise<{ allowed: number; slowestMs: number; others: number[] }> {
  let [allowed, slowestMs] = [0, 0];
  const others: number[] = [];
  for (let i = 0; i < 2 * limit; i += 1) {
    const startedMs = performance.now();
    const { status } = await sendRequest(workers.first, from);
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    if (status === 200) allowed += 1;
    else if (status !== 429) others.push(status);
  }
  return { allowed, slowestMs, others };
}

test('two processes share one counter', async () => {
  const statuses: number[] = [];
  for (let i = 0; i < limit + 4; i += 1) statuses.push((await sendRequest(workers.at(i))).status);
  expect(statuses).toEqual([...Array<number>(limit).fill(200), 429, 429, 429, 429]);
});

test('of 100 concurrent requests to two processes, exactly the limit passes', async () => {
  const responses = await Promise.all(Array.from({ length: 100 }, (_, index) => sendRequest(workers.at(index))));
  expect(responses.filter(({ status }) => status === 200)).toHaveLength(limit);
  expect(responses.filter(({ status }) => status === 429)).toHaveLength(100 - limit);
});

describe.each([
  ['hangs', async () => redis.pause(), async () => redis.resume()],
  ['is killed', () => redis.kill(), restart],
  ['is stopped', () => redis.stop(), restart],
])('a Redis that %s', (_, away, back) => {
  test('is replaced by counters in each process, logged once, and used again when it is back', async () => {
    const before = [workers.first, workers.second].map((service) => redisLines(service).length);
    expect(rateLimitOf(await sendRequest(workers.second)).left).toBe(limit - 1);
    await away();
    const { allowed, slowestMs, others } = await flood(ip);
    expect({ allowed, others }).toEqual({ allowed: limit, others: [] });
    expect(slowestMs).toBeLessThan(hangMs);
    await sendRequest(workers.second);
    await untilRedisIs('down');
    expect(await redisUp()).toBe('0');
    expect((await workers.first.get('/readyz')).status).toBe(200);
    const told = [workers.first, workers.second].map((service) => redisLines(service).length);
    expect(told).toEqual(before.map((count) => count + 1));

    await back();
    await untilRedisIs('up');
    expect(await redisUp()).toBe('1');
    const fresh = `203.0.113.${address}`;
    await sendRequest(workers.first, fresh);
    expect(rateLimitOf(await sendRequest(workers.second, fresh)).left).toBe(limit - 2);
    const after = [workers.first, workers.second].map((service) => redisLines(service).length);
    expect(after).toEqual(before.map((count) => count + 2));
  });
});

test('counting continues after Redis lost its scripts', async () => {
  await withRedis(redis.url, (client) => client.sendCommand(['SCRIPT', 'FLUSH']));
  expect(rateLimitOf(await sendRequest(workers.first)).left).toBe(limit - 1);
  expect(rateLimitOf(await sendRequest(workers.second)).left).toBe(limit - 2);
});

test('a read-only Redis is replaced by counters in the process', async () => {
  const maxmemory = (value: string) =>
    withRedis(redis.url, (client) => client.sendCommand(['CONFIG', 'SET', 'maxmemory', value]));
  await maxmemory('1');
  const { allowed, others } = await flood(ip);
  await maxmemory('0');
  expect(others).toEqual([]);
  expect(allowed).toBe(limit);
});

async function restart(): Promise<void> {
  redis = await startRedis({ port: redis.port });
}

test('a service without Redis starts, limits requests, and uses Redis once it is available', async () => {
  const port = await freePort();
  const app = await startApp({ REDIS_URL: `redis://127.0.0.1:${port}`, RATE_LIMIT_DEFAULT: '3/10m' });
  const statuses: number[] = [];
  for (let i = 0; i < 4; i += 1) statuses.push((await app.get('/openapi.json')).status);
  expect(statuses).toEqual([200, 200, 200, 429]);
  const late = await startRedis({ port });
  try {
    for (let tries = 0; (await app.get('/readyz')).body.checks.redis !== 'up'; tries += 1) {
      if (tries > 100) throw new Error('it did not join');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(rateLimitOf(await app.get('/openapi.json')).left).toBe(2);
  } finally {
    await app.close();
    await late.kill();
  }
});

test('a counter in Redis expires with its window', async () => {
  const database = await createRedisDatabase();
  const app = await startApp({ REDIS_URL: database.url, RATE_LIMIT_DEFAULT: '3/5s', RATE_LIMIT_REGISTER: '3/5s' });
  const keys = () =>
    withRedis(database.url, (client) => client.sendCommand(['KEYS', 'keyturn:limit:*'])) as Promise<string[]>;
  try {
    while ((await app.get('/readyz')).body.checks.redis !== 'up')
      await new Promise((resolve) => setTimeout(resolve, 20));
    await app.register();
    await app.get('/openapi.json');
    const storedKeys = await keys();
    // Redis stores only counters of addresses and networks, for the length of a window.
    expect(storedKeys.toSorted()).toEqual([
      'keyturn:limit:default:127.0.0.1',
      'keyturn:limit:register:127.0.0.1',
      'keyturn:limit:register_network:127.0.0.0/24',
    ]);
    await new Promise((resolve) => setTimeout(resolve, 5200));
    expect(await keys()).toEqual([]);
  } finally {
    await app.close();
    await database.drop();
  }
});
