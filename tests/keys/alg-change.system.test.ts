// JWT_ALG changes in a rolling deployment, in which processes with the old and the new value run concurrently.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import pg from 'pg';
import type { Settings } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openRows, type Rows } from '../support/rows/index.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { keyEvents, publishedBy, until } from './keys.ts';

const masterKeys = randomBytes(32).toString('base64url');
let database: TestDatabase;
let pool: pg.Pool;
let db: Rows;
const started: ServiceProcess[] = [];

/** A key may sign 3 s after it is published. */
async function start(alg: 'ES256' | 'EdDSA', more: Settings = {}): Promise<ServiceProcess> {
  const settings = { DATABASE_URL: database.url, MASTER_KEYS: masterKeys, JWKS_MAX_AGE: '1s', JWT_ALG: alg };
  const service = await startService({ ...settings, ...more });
  started.push(service);
  await waitUntilReady(service);
  return service;
}

beforeAll(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  db = openRows(pool);
});
afterAll(async () => {
  for (const service of started) if (service.child.exitCode === null) await service.kill();
  await pool.end();
  await database.drop();
});

const algOf = async (service: ServiceProcess) => {
  const { access_token: token } = await service.register();
  return { token, alg: decodeProtectedHeader(token).alg };
};
const supported = async (service: ServiceProcess) =>
  (await service.get('/.well-known/openid-configuration')).body.id_token_signing_alg_values_supported as string[];

test('a new algorithm is published before it signs, and every token is valid in every process', async () => {
  const [former, other] = [await start('ES256'), await start('ES256')];
  expect(await supported(former)).toEqual(['ES256']);
  const startedMs = performance.now();
  const newer = await start('EdDSA');
  const algs: Record<'former' | 'other' | 'newer', string[]> = { former: [], other: [], newer: [] };
  let switchedMs = 0;
  const generations = { former, other, newer };
  await until(async () => {
    for (const [name, service] of Object.entries(generations) as [keyof typeof algs, ServiceProcess][]) {
      const { token, alg = '' } = await algOf(service);
      algs[name].push(alg);
      if (alg === 'EdDSA') switchedMs ||= performance.now() - startedMs;
      for (const reader of Object.values(generations)) expect((await reader.get('/me', token)).status).toBe(200);
    }
    return algs.newer.filter((alg) => alg === 'EdDSA').length > 5;
  }, 20_000);

  // Each process changes keys at most once: from the old algorithm to its own.
  expect(algs.newer.join(' ')).toMatch(/^(ES256 )+(EdDSA ?)+$/);
  expect(switchedMs).toBeGreaterThan(3000);
  expect(new Set([...algs.former, ...algs.other])).toEqual(new Set(['ES256']));
  for (const service of [former, other, newer])
    expect((await supported(service)).toSorted()).toEqual(['ES256', 'EdDSA']);
  expect((await db.signingKeys.all()).map(({ alg, status }) => `${alg} ${status}`).toSorted()).toEqual([
    'ES256 active',
    'ES256 next',
    'EdDSA active',
    'EdDSA next',
  ]);
  expect((await keyEvents(db)).filter(({ type }) => type === 'activated')).toEqual([
    { type: 'activated', kid: await db.signingKeys.kid('active', 'EdDSA'), reason: 'alg_changed' },
  ]);
}, 60_000);

test('a rolled back process signs with the former key immediately', async () => {
  const back = await start('ES256');
  expect((await algOf(back)).alg).toBe('ES256');
  await back.stop();
});

test('keys of an algorithm that no process uses retire, and their tokens stay valid', async () => {
  const [former, other, newer] = started as [ServiceProcess, ServiceProcess, ServiceProcess];
  const { token } = await algOf(former);
  const [active, next] = [await db.signingKeys.kid('active'), await db.signingKeys.kid('next')];
  await former.stop();
  await other.stop();
  await new Promise((resolve) => setTimeout(resolve, 1000)); // several polls, because the process may only be restarting
  expect(await db.signingKeys.kid('active')).toBe(active);

  await db.signingKeys.ageWanted('ES256', 600);
  await until(async () => !(await publishedBy(newer)).includes(next), 5000);
  await until(async () => (await db.signingKeys.all()).some(({ status }) => status === 'retired'), 5000);
  expect(await db.signingKeys.kid('retired')).toBe(active);
  expect((await db.signingKeys.all()).map(({ kid }) => kid)).not.toContain(next);
  expect((await newer.get('/me', token)).status).toBe(200);
  expect((await algOf(newer)).alg).toBe('EdDSA');
  expect((await keyEvents(db)).slice(-2).map(({ type, reason }) => [type, reason])).toEqual(
    expect.arrayContaining([
      ['retired', 'unwanted'],
      ['deleted', 'unwanted'],
    ]),
  );
}, 30_000);

test('concurrent first starts with two algorithms create one active key', async () => {
  await db.signingKeys.remove();
  const patient = { JWKS_MAX_AGE: '5m' };
  const pair = await Promise.all([start('ES256', patient), start('EdDSA', patient)]);
  const algsThatAre = async (wanted: string) =>
    (await db.signingKeys.all()).flatMap(({ status, alg }) => (status === wanted ? [alg] : [])).toSorted();
  await until(async () => (await algsThatAre('next')).join() === 'ES256,EdDSA', 5000);
  expect(await algsThatAre('active')).toHaveLength(1);
  const [one, two] = await Promise.all(pair.map(algOf));
  expect(one?.alg).toBe(two?.alg);
}, 30_000);
