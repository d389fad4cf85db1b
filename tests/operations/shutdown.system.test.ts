import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { password, type Settings } from '../harness.ts';
import { startAttack, stopAttacks, unlimited } from '../http/attack.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type ServiceProcess, waitUntilNotReady, waitUntilReady } from '../support/service.ts';
import { startGate } from './gate.ts';
import { startForTest } from './processes.ts';

/** Slow enough to be interrupted. */
const heavyHashes = { ARGON2_MEMORY_KIB: '65536', ARGON2_ITERATIONS: '6', ARGON2_PARALLELISM: '1' };

let database: TestDatabase;
const masterKeys = randomBytes(32).toString('base64url');
const email = 'ada@example.com';

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());
afterEach(stopAttacks);

async function start(settings: Settings): Promise<ServiceProcess> {
  const service = await startForTest({ DATABASE_URL: database.url, MASTER_KEYS: masterKeys, ...settings });
  await waitUntilReady(service);
  return service;
}

/**
 * For a process with a SHUTDOWN_GRACE of one or two seconds. Without it, an unfinished request would delay the end for 20 seconds
 * (limits.requestMs), and a hanging Postgres forever.
 */
const boundMs = 15_000;

/** The exit code and signal of the process, and the time until it ended. */
async function ending({ child }: ServiceProcess) {
  const startedMs = performance.now();
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return { code, signal, ms: performance.now() - startedMs };
}

const portOf = ({ baseUrl }: ServiceProcess) => Number(new URL(baseUrl).port);

async function connected(service: ServiceProcess, text: string) {
  const socket = connect({ host: '127.0.0.1', port: portOf(service) }).on('error', () => {});
  await once(socket, 'connect');
  if (text) socket.write(text);
  return socket;
}

/** Resolves when the service accepts no connections anymore. */
async function untilRefused(service: ServiceProcess): Promise<void> {
  for (;;) {
    const socket = connect({ host: '127.0.0.1', port: portOf(service) });
    const isAccepted = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (!isAccepted) return;
    await sleep(20);
  }
}

const unfinished =
  'POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"em';

describe('SIGTERM', () => {
  let service: ServiceProcess;

  test('lets running requests finish, accepts no new ones, and exits with 0', async () => {
    service = await start({ ...heavyHashes, HASH_CONCURRENCY: '1', SHUTDOWN_GRACE: '30s' });
    const body = { email, password, display_name: 'Ada Lovelace' };
    expect((await service.call('post', '/register', { body })).status).toBe(201);

    const logins = [1, 2, 3].map(() => service.login(email));
    await sleep(100);
    const ended = ending(service);
    service.child.kill('SIGTERM');
    await untilRefused(service);
    await expect(service.get('/healthz')).rejects.toThrow(/ECONNREFUSED/);
    expect((await Promise.all(logins)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await ended).toMatchObject({ code: 0, signal: null });
  }, 60_000);

  test('does not wait for idle connections', async () => {
    service = await start({ SHUTDOWN_GRACE: '60s' });
    const agent = new Agent({ keepAlive: true, maxSockets: 5 });
    const used = Array.from({ length: 5 }, async () => {
      const [response] = await once(get(`${service.baseUrl}/healthz`, { agent }), 'response');
      await once((response as NodeJS.ReadableStream).resume(), 'end');
    });
    await Promise.all(used);
    await connected(service, '');
    const ended = ending(service);
    service.child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0 });
    expect((await ended).ms).toBeLessThan(boundMs);
    agent.destroy();
  }, 40_000);

  test('cuts an endless request after SHUTDOWN_GRACE and exits with 0', async () => {
    service = await start({ SHUTDOWN_GRACE: '2s' });
    await connected(service, unfinished);
    await connected(service, 'GET /healthz HTTP/1.1\r\nHos');
    await sleep(100);
    const ended = ending(service);
    service.child.kill('SIGTERM');
    const { code, ms } = await ended;
    expect(code).toBe(0);
    expect(ms).toBeGreaterThan(1000);
    expect(ms).toBeLessThan(boundMs);
  }, 40_000);

  test('exits in time while 2,000 clients send their requests slowly', async () => {
    service = await start({ ...unlimited, SHUTDOWN_GRACE: '2s' });
    const plan = { connections: 1000, drip: ' ', everyMs: 200 };
    const attacks = await Promise.all(
      ['GET /healthz HTTP/1.1\r\nX-A:', unfinished].map((opening) =>
        startAttack(service.baseUrl, { ...plan, opening }),
      ),
    );
    for (const attack of attacks) expect((await attack.report()).open).toBe(1000);
    const ended = ending(service);
    service.child.kill('SIGTERM');
    const { code, ms } = await ended;
    expect(code).toBe(0);
    expect(ms).toBeLessThan(boundMs);
    await Promise.all(attacks.map((attack) => attack.stop()));
  }, 60_000);

  test('exits in time while Postgres hangs during a request', async () => {
    const gate = await startGate(database.url);
    service = await start({ DATABASE_URL: gate.url, DATABASE_TIMEOUT: '1s', SHUTDOWN_GRACE: '1s' });
    await Promise.all([1, 2, 3].map(() => service.login(email)));
    gate.hang();
    const responses = Promise.allSettled([1, 2, 3].map(() => service.login(email)));
    await sleep(100);
    const ended = ending(service);
    service.child.kill('SIGTERM');
    const { code, ms } = await ended;
    expect(code).toBe(0);
    expect(ms).toBeLessThan(boundMs);
    await responses;
    await gate.close();
  }, 40_000);

  test('turns /readyz to 503 and serves for SHUTDOWN_DELAY, which a later signal ends, but not the same one sent twice', async () => {
    service = await start({ SHUTDOWN_DELAY: '5m' });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const connectionOf = async () => {
      const [response] = (await once(get(`${service.baseUrl}/healthz`, { agent }), 'response')) as [IncomingMessage];
      const { statusCode, headers, socket } = response;
      await once(response.resume(), 'end');
      return { statusCode, connection: headers.connection, port: socket.localPort };
    };
    const before = await connectionOf();
    const ended = ending(service);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) service.child.kill(signal); // as a process group and npm do
    await waitUntilNotReady(service);
    await sleep(1100);
    expect((await service.get('/readyz')).body).toMatchObject({ code: 'not_ready', checks: { migrations: 'applied' } });
    expect(await connectionOf()).toEqual({ statusCode: 200, connection: 'close', port: before.port });
    await service.register();
    service.child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0, signal: null });
    agent.destroy();
  }, 40_000);

  test('ends after SHUTDOWN_DELAY without a second signal', async () => {
    service = await start({ SHUTDOWN_DELAY: '1s' });
    const ended = ending(service);
    service.child.kill('SIGTERM');
    const { code, ms } = await ended;
    expect(code).toBe(0);
    expect(ms).toBeGreaterThan(990);
  }, 40_000);

  test('does not delay the end of a service that was never ready', async () => {
    service = await startForTest({ DATABASE_URL: 'postgresql://127.0.0.1:1/none', SHUTDOWN_DELAY: '5m' });
    const ended = ending(service);
    service.child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0 });
  }, 40_000);

  test('announces in the last response of a connection that it closes', async () => {
    service = await start({ SHUTDOWN_GRACE: '30s' });
    const socket = await connected(service, unfinished);
    const [chunks, closed] = [socket.setEncoding('utf8').toArray(), once(socket, 'close')];
    await sleep(100);
    const ended = ending(service);
    service.child.kill('SIGTERM');
    await expect(untilRefused(service)).resolves.toBeUndefined();
    socket.write('a'.repeat(1000));
    await closed;
    expect((await chunks).join('')).toMatch(/^HTTP\/1\.1 400 .*\r\nConnection: close\r\n/s);
    expect(await ended).toMatchObject({ code: 0 });
  }, 40_000);

  test('sent twice, or with SIGINT, cuts no request', async () => {
    service = await start({ ...heavyHashes, HASH_CONCURRENCY: '1', SHUTDOWN_GRACE: '30s' });
    const logins = [1, 2].map(() => service.login(email));
    await sleep(100);
    const ended = ending(service);
    for (const signal of ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGINT'] as const) {
      service.child.kill(signal);
      await sleep(30);
    }
    expect((await Promise.all(logins)).map(({ status }) => status)).toEqual([200, 200]);
    expect(await ended).toMatchObject({ code: 0, signal: null });
  }, 60_000);

  test('stops a service that waits for its database', async () => {
    service = await startForTest({ DATABASE_URL: 'postgresql://127.0.0.1:1/none', SHUTDOWN_GRACE: '1s' });
    const ended = ending(service);
    service.child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0 });
  }, 40_000);
});

test('SIGINT does the same and closes every connection to Postgres', async () => {
  const service = await start({});
  await service.login(email);
  const ended = ending(service);
  service.child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 0 });
  expect(await database.use((db) => db.server.connections('keyturn'))).toBe(0);
  expect(service.lines.filter((line) => !line.startsWith('{'))).toEqual([]);
}, 20_000);
