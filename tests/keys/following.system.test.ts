// How processes learn about key changes: by NOTIFY, by polling, and from a token with an unknown key id.
import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { makeAudit } from '../../src/core/audit/audit.ts';
import { commandLine, revokeKey } from '../../src/core/signing-keys/operator-actions.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openDatabase } from '../../src/platform/postgres.ts';
import { openPool } from '../../src/platform/postgres/pool.ts';
import { type Settings, startApp, type TestApp } from '../harness.ts';
import { type Gate, startGate } from '../operations/gate.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { keyEvents, kidOf, publishedBy, until } from './keys.ts';

const settings: Settings = { MASTER_KEYS: randomBytes(32).toString('base64url') };
let database: TestDatabase;
let gate: Gate;
let lines: string[];
let closing: (() => Promise<void>)[];

beforeEach(async () => {
  database = await createDatabase();
  gate = await startGate(database.url);
  lines = [];
  closing = [];
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  await gate.close();
  await database.drop();
});

const remember = new Writable({
  write(chunk, _encoding, done) {
    lines.push(String(chunk));
    done();
  },
});
const logged = (pattern: RegExp) => lines.filter((line) => pattern.test(line));

/** Starts an app that maintains its keys. Only its LISTEN connection goes through the gate. */
async function start(more: Settings = {}, databaseUrl = database.url): Promise<TestApp> {
  const log = pino({ level: 'info' }, remember);
  const app = await startApp(
    { ...settings, DATABASE_DIRECT_URL: gate.url, ...more },
    { databaseUrl, log, runsSigningKeyWorker: true },
  );
  closing.push(() => app.close());
  return app;
}

/** Revokes a key like `keys revoke`, outside every process. */
async function revoke(kid: string): Promise<void> {
  const pool = { url: database.url, poolMax: 1, timeoutSeconds: 5, pooled: false, statementNames: false };
  const db = openDatabase(pool, openPool(pool));
  const audit = makeAudit({ clock: systemClock });
  await db.transaction((tx) => revokeKey(tx, audit, kid, commandLine)).finally(() => db.$disconnect());
}

/**
 * The median of the times in which all these processes dropped a revoked key, because the machine may be busy. By polling, it would be
 * seconds.
 */
async function medianMsToDrop(apps: readonly [TestApp, ...TestApp[]]): Promise<number> {
  const tookMs: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    await until(() => apps.every(({ keyring }) => keyring.published().length === 2), 10_000);
    const kid = await apps[0].db.signingKeys.kid('active');
    await until(() => apps.every(({ keyring }) => keyring.find(kid)), 10_000);
    await revoke(kid);
    tookMs.push(await until(() => apps.every(({ keyring }) => !keyring.find(kid)), 10_000));
  }
  return tookMs.sort((a, b) => a - b)[1] ?? NaN;
}

const listeners = ({ db }: TestApp) => db.server.connections('keyturn-listen', 'LISTEN%');

test('every process drops a revoked key and refuses its tokens within a second', async () => {
  const apps = [await start(), await start(), await start()] as const;
  const [first] = apps;
  await until(async () => (await listeners(first)) === 3, 5000);
  const { access_token: token } = await first.register();
  const [active, next] = [await first.db.signingKeys.kid('active'), await first.db.signingKeys.kid('next')];
  await revoke(active);
  await until(() => apps.every(({ keyring }) => !keyring.find(active)), 10_000);
  await until(() => apps.every(({ keyring }) => keyring.published().length === 2), 10_000);
  for (const app of apps) {
    expect(await publishedBy(app)).toEqual([await first.db.signingKeys.kid('next'), next]);
    expect((await app.get('/me', token)).status).toBe(401);
    expect(kidOf((await app.register()).access_token)).toBe(next);
  }
  const revoked = (await first.db.signingKeys.all()).find(({ kid }) => kid === active);
  expect([revoked?.status, revoked?.sealedKey.length]).toEqual(['revoked', 0]);
  expect((await keyEvents(first.db)).slice(2)).toEqual([
    { type: 'revoked', kid: active, reason: 'cli' },
    { type: 'activated', kid: next, reason: 'revoked' },
    { type: 'made', kid: await first.db.signingKeys.kid('next'), reason: 'next' },
  ]);
  expect(await medianMsToDrop(apps)).toBeLessThan(1000);
});

test('the replacement of a revoked next key waits the full publication time', async () => {
  const app = await start();
  const [active, next] = [await app.db.signingKeys.kid('active'), await app.db.signingKeys.kid('next')];
  await app.db.signingKeys.age(3600);
  await revoke(next);
  await until(() => !app.keyring.find(next) && app.keyring.published().length === 2, 5000);
  await app.db.signingKeys.requestRotation();
  await app.keyring.maintain();
  expect(await app.db.signingKeys.kid('active')).toBe(active);
});

test('if LISTEN fails, polling finds changes within seconds, and the log reports start and end once', async () => {
  gate.refuse();
  const app = await start();
  const active = await app.db.signingKeys.kid('active');
  await revoke(active);
  const ms = await until(() => !app.keyring.find(active), 8000);
  expect(ms).toBeGreaterThan(50);
  expect(await listeners(app)).toBe(0);
  await until(() => app.keyring.published().length === 2, 8000);
  expect(logged(/lost the connection that listens/)).toHaveLength(1);

  gate.open();
  await until(async () => (await listeners(app)) === 1, 5000);
  await until(() => logged(/listening for notifications again/).length === 1, 10_000);
  expect(await medianMsToDrop([app])).toBeLessThan(1000);
});

test('a token with an unknown key id makes a process reload keys at most once a second', async () => {
  // Receives no notifications and polls every 5 s, so that it learns of new keys only from tokens.
  const isolated = await startApp(
    { ...settings, DATABASE_DIRECT_URL: gate.url },
    { databaseUrl: database.url, runsSigningKeyWorker: true },
  );
  closing.push(() => isolated.close());
  await until(async () => (await listeners(isolated)) === 1, 5000);
  gate.hang();
  const other = await startApp(settings, { databaseUrl: database.url });
  closing.push(() => other.close());
  // Three times, because a poll may happen by chance.
  let token = '';
  for (let round = 0; round < 3; round += 1) {
    // After revocations, a key signs as soon as it is created.
    for (const status of ['next', 'active'] as const) {
      await revoke(await other.db.signingKeys.kid(status));
      if (status === 'next') await other.keyring.maintain();
    }
    await other.keyring.maintain();
    ({ access_token: token } = await other.register());
    await until(async () => (await isolated.get('/me', token)).status === 200, 1500);
  }

  const reads = () => isolated.db.server.scansOf('signing_keys');
  const settled = () => new Promise((resolve) => setTimeout(resolve, 1200)); // backends report once a second
  await settled();
  const before = await reads();
  const unknown = token.replace(
    /^[^.]+/,
    Buffer.from('{"alg":"ES256","typ":"at+jwt","kid":"unknown"}').toString('base64url'),
  );
  for (let tries = 0; tries < 100; tries += 1) expect((await isolated.get('/me', unknown)).status).toBe(401);
  await settled();
  expect((await reads()) - before).toBeLessThan(20);
});

test('while the database is down the JWKS is served and the key stays active; it rotates when the database is back', async () => {
  const app = await start({ JWKS_MAX_AGE: '3s', SIGNING_KEY_ROTATION: '1h' }, gate.url);
  const active = app.keyring.active().kid;
  const { access_token: token } = await app.register();
  const jwks = await publishedBy(app);
  gate.refuse();
  await database.use((db) => db.signingKeys.age(3600));
  await until(() => logged(/background job failed/).length > 0, 5000);
  await new Promise((resolve) => setTimeout(resolve, 2500)); // two more polls
  expect(await publishedBy(app)).toEqual(jwks);
  expect(app.keyring.active().kid).toBe(active);
  expect((await app.get('/me', token)).status).toBe(503);
  expect(logged(/background job failed/)).toHaveLength(1);

  gate.open();
  await until(() => app.keyring.active().kid !== active, 5000);
  expect((await app.get('/me', token)).status).toBe(200);
  await until(() => logged(/background job succeeded again/).length === 1, 10_000);
  expect(logged(/signing with a different key/)).toHaveLength(1);
});

test('a stopping process closes its LISTEN connection', async () => {
  const [running, stopping] = [await start(), await start()];
  await until(async () => (await listeners(running)) === 2, 5000);
  closing.pop();
  await stopping.close();
  expect(await until(async () => (await listeners(running)) === 1, 10_000)).toBeLessThan(5000);
});
