import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { makeOpaqueTokens } from '../../src/core/tokens/opaque-token.ts';
import { newId, type OneTimeTokenId } from '../../src/lib/ids.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { adminScopes } from '../support/builders.ts';
import { useDatabase } from '../support/database.ts';
import { type Account, password } from '../harness.ts';
import { operations } from '../http/operations.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { until } from '../support/until.ts';
import { type Gate, startGate } from './gate.ts';
import { startForTest } from './processes.ts';

const timeoutMs = 1000;
const masterKeys = randomBytes(32).toString('base64url');
/** DATABASE_TIMEOUT, half a second of grace, and a margin for busy machines. */
const boundMs = timeoutMs + 2500;

let directory: string;
let postgres: EmbeddedPostgres;
let gate: Gate;
let service: ServiceProcess;
let account: Account;
const settings = () => ({
  DATABASE_URL: gate.url,
  DATABASE_TIMEOUT: `${timeoutMs / 1000}s`,
  MASTER_KEYS: masterKeys,
  // Nothing listens there: emails stay in the outbox.
  SMTP_URL: 'smtp://127.0.0.1:9',
  MAIL_FROM: 'keyturn@example.com',
});
/** Well-formed, so that only the database can decide whether it is valid. */
const oneTimeToken = makeOpaqueTokens('kto_', deriveMasterKeys([Buffer.from(masterKeys, 'base64url')])).draw(
  newId<OneTimeTokenId>(Date.now()),
).text;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyturn-down-'));
  postgres = await startEmbeddedPostgres({ directory, durable: true });
  await applyMigrations(postgres.url);
  gate = await startGate(postgres.url);
  service = await startService(settings());
  await waitUntilReady(service);
  account = await service.register();
  await useDatabase(postgres.url, (db) => db.roles.grant(account, 'admin'));
  const scope = `api-keys profile sessions ${adminScopes}`;
  const admin = await service.call('post', '/login', { body: { email: account.email, password, scope } });
  account = { ...account, access_token: (admin.body as Account).access_token };
}, 30_000);

afterAll(async () => {
  await service.kill();
  await gate.close();
  await postgres.stop();
  await rm(directory, { recursive: true });
});

/** Endpoints that query the database: those that document 503 not_ready, except those served from memory. */
const asking = operations.filter(
  ({ id, codes }) => codes.includes('not_ready') && !['getJwks', 'getReadiness'].includes(id),
);

type Method = Parameters<ServiceProcess['call']>[0];

async function callEach(): Promise<{ id: string; response: Response; ms: number }[]> {
  return Promise.all(
    asking.map(async ({ id, method, path, body }) => {
      const example = {
        ...body?.example,
        ...(body?.members.includes('refresh_token') ? { refresh_token: account.refresh_token } : {}),
        ...(body?.members.includes('token') ? { token: oneTimeToken } : {}),
      };
      const startedMs = performance.now();
      const options = { body: body && example, token: account.access_token };
      const response = await service.call(method.toLowerCase() as Method, path, options);
      return { id, response, ms: performance.now() - startedMs };
    }),
  );
}

const statusOf = (service: ServiceProcess, path: string) => service.get(path).then(({ status }) => status);

/**
 * The response of `/readyz` once it contains `text`. A Postgres that hangs is down after three seconds. If the connection of the check
 * is lost, Postgres is up again within eleven.
 */
async function readinessWith(text: string): Promise<Response> {
  for (let tries = 0; ; tries += 1) {
    const response = await service.get('/readyz');
    if (response.text.includes(text) || tries === 200) return response;
    await sleep(100);
  }
}

/** Endpoints that respond incorrectly while the database is down. */
async function faultsWhileDown(): Promise<string[]> {
  const responses = await callEach();
  const isRight = ({ response: { status, body, headers }, ms }: (typeof responses)[number]) =>
    status === 503 &&
    (body as { code: string }).code === 'not_ready' &&
    /^[1-9]\d*$/.test(String(headers['retry-after'])) &&
    ms < boundMs;
  const wrong = responses.filter((each) => !isRight(each));
  const ready = await readinessWith('"postgres":"down"');
  const paths = ['/healthz', '/readyz', '/.well-known/jwks.json', '/.well-known/oauth-authorization-server'];
  const statuses = await Promise.all(paths.map((path) => statusOf(service, path)));
  return [
    ...wrong.map(({ id, response, ms }) => `${id}: ${response.status} after ${Math.round(ms)} ms: ${response.text}`),
    ...(ready.text.includes('"postgres":"down"') ? [] : [ready.text]),
    ...paths.flatMap((path, i) => (statuses[i] === 200 ? [] : [`${path}: ${statuses[i]}`])),
    ...(service.child.exitCode === null ? [] : ['it exited']),
  ];
}

/** Whether every endpoint recovers. Each connection that the network has lost fails the first request that uses it. */
async function recovers(): Promise<boolean> {
  const isWorking = async () =>
    (await service.get('/me', account.access_token)).status === 200 &&
    (await service.login(account.email)).status === 200;
  for (let tries = 0; tries < 50 && !(await isWorking()); tries += 1) await sleep(100);
  return (await isWorking()) && (await readinessWith('"postgres":"up"')).text.includes('"postgres":"up"');
}

/** Opens every connection of the pool, so that the failure affects each. */
const fillPool = () => Promise.all(Array.from({ length: 20 }, () => service.get('/me', account.access_token)));

describe('endpoints that need the database return 503 in time, others keep working, and all recover', () => {
  test('some endpoints need the database and some do not', () => {
    expect(asking.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['register', 'login', 'refresh', 'logout', 'getMe', 'deleteMe']),
    );
  });

  test('when connections are refused', async () => {
    gate.refuse();
    expect(await faultsWhileDown()).toEqual([]);
    gate.open();
    expect(await recovers()).toBe(true);
  }, 60_000);

  test('when existing and new connections hang', async () => {
    await fillPool();
    gate.hang();
    expect(await faultsWhileDown()).toEqual([]);
    expect(await faultsWhileDown()).toEqual([]);
    gate.open();
    expect(await recovers()).toBe(true);
  }, 60_000);

  test('when it stops and restarts at another address', async () => {
    await fillPool();
    await postgres.stop();
    expect(await faultsWhileDown()).toEqual([]);
    postgres = await startEmbeddedPostgres({ directory, durable: true });
    gate.redirectTo(postgres.url);
    expect(await recovers()).toBe(true);
  }, 60_000);

  test('when the network loses existing connections, whose processes in Postgres the service ends', async () => {
    await fillPool();
    const pids = () => useDatabase(postgres.url, (db) => db.server.processIds('keyturn'));
    const before = await pids();
    gate.loseExisting();
    expect((await service.get('/me', account.access_token)).status).toBe(503);
    await fillPool();
    // The check of `/readyz` has lost its connection, too.
    expect((await readinessWith('"postgres":"down"')).text).toContain('"postgres":"down"');
    expect(await recovers()).toBe(true);
    await until(async () => !(await pids()).some((pid) => before.includes(pid)));
  }, 60_000);

  test('a password change that failed with 503 leaves the old password', async () => {
    expect((await service.refresh(account.refresh_token)).status).toBe(200);
    expect((await service.login(account.email)).status).toBe(200);
  });
});

test('a service that starts while the database is down listens, logs that, and becomes ready without a restart', async () => {
  gate.refuse();
  const early = await startForTest(settings());
  expect((await early.get('/healthz')).status).toBe(200);
  const waiting = await early.get('/readyz');
  const checks = { migrations: 'pending', signing_key: 'missing', postgres: 'down' };
  expect([waiting.status, waiting.body]).toMatchObject([503, { code: 'not_ready', checks }]);
  expect(waiting.headers['retry-after']).toBe('1');
  expect((await early.get('/.well-known/jwks.json')).status).toBe(503);
  expect((await early.login(account.email)).status).toBe(503);
  gate.open();
  await waitUntilReady(early);
  expect(await early.stop()).toBe(0);
}, 20_000);
