import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { startForTest } from './processes.ts';

/** A hash of some hundred milliseconds, so that requests that wait for it are recognizable. */
const heavyHashes = { ARGON2_MEMORY_KIB: '65536', ARGON2_ITERATIONS: '6', ARGON2_PARALLELISM: '1' };
const email = 'ada@example.com';
const masterKeys = randomBytes(32).toString('base64url');
const password = 'correct horse battery staple';

let database: TestDatabase;
let service: ServiceProcess;
let refreshToken: string;
let accessToken: string;

beforeAll(async () => {
  database = await createDatabase();
  service = await startService({
    DATABASE_URL: database.url,
    MASTER_KEYS: masterKeys,
    ...heavyHashes,
    HASH_CONCURRENCY: '1',
    HASH_QUEUE_MAX: '2',
  });
  await waitUntilReady(service);
  const body = { email, password, display_name: 'Ada Lovelace' };
  const { body: account } = await service.call('post', '/register', { body });
  ({ refresh_token: refreshToken, access_token: accessToken } = account as {
    refresh_token: string;
    access_token: string;
  });
}, 20_000);
afterAll(async () => {
  await service.kill();
  await database.drop();
});

describe('a queue of two behind one running hash', () => {
  test('accepts three of twenty logins and returns 503 with Retry-After for the others immediately', async () => {
    const responses: Awaited<ReturnType<typeof service.login>>[] = []; // in the order in which they arrive
    const login = async () => void responses.push(await service.login(email));
    await Promise.all(Array.from({ length: 20 }, login));
    const statuses = responses.map(({ status }) => status);
    expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
    const shed = responses.filter(({ status }) => status === 503);
    expect(shed.length).toBeGreaterThanOrEqual(12);
    expect(shed.length).toBeLessThanOrEqual(17);
    for (const { body, headers } of shed) {
      expect(body).toMatchObject({ code: 'overloaded' });
      expect(headers['retry-after']).toMatch(/^[1-9]\d*$/);
    }
    // They do not wait for the logins in the queue.
    expect(statuses.at(-1)).toBe(200);
  }, 20_000);

  test('removes logins whose clients hung up, and creates no session for them', async () => {
    const sessions = async () => {
      const response = await service.get('/sessions?limit=100', accessToken);
      return (response.body as { sessions: unknown[] }).sessions.length;
    };
    const before = await sessions();
    for (let wave = 0; wave < 5; wave += 1) {
      const leaving = Array.from({ length: 3 }, () => {
        const request = httpRequest(`${service.baseUrl}/login`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
        });
        request.on('error', () => {}).end(JSON.stringify({ email, password }));
        return request;
      });
      await new Promise((resolve) => setTimeout(resolve, 50));
      for (const request of leaving) request.destroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await service.login(email)).status).toBe(200);
    expect(await sessions()).toBe(before + 1);
  }, 20_000);

  test('removes pipelined logins of a client that hung up, and logs each request', async () => {
    const names = ['pipelined-1', 'pipelined-2', 'pipelined-3'];
    const body = JSON.stringify({ email, password });
    const socket = connect(Number(new URL(service.baseUrl).port), '127.0.0.1').on('error', () => {});
    for (const name of names)
      socket.write(
        `POST /login HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${name}\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await service.login(email)).status).toBe(200);
    const logLines = service.lines.map((line) => JSON.parse(line) as { client_request_id?: string; status?: number });
    expect(names.map((name) => logLines.find((line) => line.client_request_id === name)?.status)).toEqual([
      499, 499, 499,
    ]);
  }, 20_000);

  test('applies to every endpoint that hashes, for known and unknown accounts', async () => {
    const logins = Array.from({ length: 12 }, () => service.login('nobody@example.com'));
    const others = [
      service.call('post', '/me/password', {
        token: accessToken,
        body: { current_password: password, new_password: 'a quieter mare and no battery' },
      }),
      service.call('post', '/register', {
        body: { email: 'new@example.com', password: 'a quieter mare and no battery', display_name: 'New' },
      }),
    ];
    const statuses = (await Promise.all([...logins, ...others])).map(({ status }) => status);
    expect(statuses.filter((status) => ![201, 204, 401, 503].includes(status))).toEqual([]);
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThanOrEqual(4);
  }, 20_000);

  test('is empty again afterwards', async () => {
    for (let i = 0; i < 3; i += 1) expect((await service.login('nobody@example.com')).status).toBe(401);
  }, 20_000);
});

test('requests without a hash do not wait for running hashes', async () => {
  let running = 3;
  const logins = Array.from({ length: 3 }, () => service.login(email).finally(() => (running -= 1)));
  let answered = 0;
  while (running > 0) {
    expect((await service.get('/healthz')).status).toBe(200);
    expect((await service.get('/me', accessToken)).status).toBe(200);
    const rotated = await service.refresh(refreshToken);
    refreshToken = (rotated.body as { refresh_token: string }).refresh_token;
    answered += 3;
  }
  await Promise.all(logins);
  // On a thread used for hashing, each would wait for one of the three hashes.
  expect(answered).toBeGreaterThan(6);
}, 30_000);

test('a DNS lookup finds a free thread while hashes run', async () => {
  const breached = 'a password that has leaked elsewhere';
  const suffix = createHash('sha1').update(breached).digest('hex').toUpperCase().slice(5);
  const ranges = createServer((_, res) => {
    res.setHeader('Connection', 'close').end(`${suffix}:1`); // otherwise the name would be looked up only once
  }).listen(0, 'localhost');
  await once(ranges, 'listening');
  const { port } = ranges.address() as AddressInfo;
  const hashes = { ...heavyHashes, ARGON2_ITERATIONS: '20', HASH_CONCURRENCY: '2' };
  const settings = { DATABASE_URL: database.url, MASTER_KEYS: masterKeys, ...hashes };
  const other = await startForTest({ ...settings, HIBP_URL: `http://localhost:${port}/range` });
  await waitUntilReady(other);

  await other.login(email); // replaces the lighter hash
  let running = 2;
  const logins = [1, 2].map(() => other.login(email).finally(() => (running -= 1)));
  let answered = 0;
  const body = { email: 'leaked@example.com', password: breached, display_name: 'Leaked' };
  while (running === 2) {
    const { status, text } = await other.call('post', '/register', { body });
    expect([status, text]).toEqual([400, expect.stringContaining('data breach')]);
    if (running === 2) answered += 1;
  }
  await Promise.all(logins);
  ranges.close();
  // Without a free thread, the first response would come after a hash.
  expect(answered).toBeGreaterThan(0);
}, 30_000);
