import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Settings, startApp, type TestApp } from '../harness.ts';
import type { KeyStatus } from '../support/rows/signing-keys.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atOnce } from '../support/workers.ts';
import { keyEvents, kidOf, publishedBy } from './keys.ts';

const daySeconds = 86_400;
/** Twice JWKS_MAX_AGE (max-age and stale-while-revalidate), and the margin. */
const publishSeconds = 300 + 300 + 60;
/** ACCESS_TTL, JWKS_MAX_AGE and the clock skew. */
const keepSeconds = 900 + 300 + 60;

const settings: Settings = { MASTER_KEYS: randomBytes(32).toString('base64url') };
let database: TestDatabase;
let apps: TestApp[];
const start = async (more: Settings = {}): Promise<TestApp> => {
  const app = await startApp({ ...settings, ...more }, { databaseUrl: database.url });
  apps.push(app);
  return app;
};
beforeEach(async () => {
  database = await createDatabase();
  apps = [];
});
afterEach(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await database.drop();
});

const statuses = async ({ db }: TestApp) => (await db.signingKeys.all()).map(({ status }) => status);
const signerOf = async (app: TestApp) => kidOf((await app.register()).access_token);

describe('the first start', () => {
  test('creates and publishes an active key and a next key', async () => {
    const app = await start();
    const [active, next] = [await app.db.signingKeys.kid('active'), await app.db.signingKeys.kid('next')];
    expect(await signerOf(app)).toBe(active);
    expect(await publishedBy(app)).toEqual([next, active]);
    expect(await keyEvents(app.db)).toEqual([
      { type: 'made', kid: active, reason: 'active' },
      { type: 'made', kid: next, reason: 'next' },
    ]);
  });

  test('of ten concurrent processes creates them once', async () => {
    const started = await atOnce(10, () => start());
    expect(await statuses(started[0] as TestApp)).toEqual(['active', 'next']);
    expect(new Set(await Promise.all(started.map(signerOf))).size).toBe(1);
  });

  test('adds the next key if an older release left only an active one', async () => {
    const app = await start();
    const active = await app.db.signingKeys.kid('active');
    await app.db.signingKeys.remove('next');
    const upgraded = await start();
    expect(await statuses(upgraded)).toEqual(['active', 'next']);
    expect(await app.db.signingKeys.kid('active')).toBe(active);
  });
});

describe('a rotation', () => {
  test('happens after SIGNING_KEY_ROTATION, and the former key stays published and valid', async () => {
    const app = await start();
    const account = await app.register();
    const [first, second] = [await app.db.signingKeys.kid('active'), await app.db.signingKeys.kid('next')];
    await app.db.signingKeys.age(90 * daySeconds - 60);
    await app.keyring.maintain();
    expect(await app.db.signingKeys.kid('active')).toBe(first);

    await app.db.signingKeys.age(60);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['retired', 'active', 'next']);
    expect(await app.db.signingKeys.kid('active')).toBe(second);
    expect(await signerOf(app)).toBe(second);
    expect(await publishedBy(app)).toEqual([await app.db.signingKeys.kid('next'), second, first]);
    expect((await app.get('/me', account.access_token)).status).toBe(200);
    expect(app.keyring.activeSince()?.getTime()).toBeGreaterThan(Date.now() - 60_000);
    expect((await keyEvents(app.db)).slice(2)).toEqual([
      { type: 'retired', kid: first, reason: 'aged' },
      { type: 'activated', kid: second, reason: 'aged' },
      { type: 'made', kid: await app.db.signingKeys.kid('next'), reason: 'next' },
    ]);
  });

  test('waits until the next key was published long enough, however old the active one is', async () => {
    const app = await start();
    const first = await app.db.signingKeys.kid('active');
    await app.db.signingKeys.age(91 * daySeconds);
    await app.db.signingKeys.remove('next');
    await app.keyring.maintain();
    await app.db.signingKeys.age(publishSeconds - 5);
    await app.keyring.maintain();
    expect(await signerOf(app)).toBe(first);
    await app.db.signingKeys.age(5);
    await app.keyring.maintain();
    expect(await signerOf(app)).not.toBe(first);
  });

  test('waits for the longest JWKS_MAX_AGE of any process', async () => {
    const app = await start({ SIGNING_KEY_ROTATION: '1s' });
    const patient = await start({ SIGNING_KEY_ROTATION: '1s', JWKS_MAX_AGE: '1h' });
    await app.db.signingKeys.age(7200 + 60 - 5);
    await Promise.all([app.keyring.maintain(), patient.keyring.maintain()]);
    expect(await statuses(app)).toEqual(['active', 'next']);
    await app.db.signingKeys.age(5);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['retired', 'active', 'next']);
  });

  test('by ten concurrent processes happens once, and all sign with one key', async () => {
    const all = await atOnce(10, () => start());
    const [first] = all as [TestApp];
    for (let round = 1; round <= 3; round += 1) {
      await first.db.signingKeys.age(91 * daySeconds);
      await Promise.all(all.map(({ keyring }) => keyring.maintain()));
      const activated = (await keyEvents(first.db)).filter(({ type }) => type === 'activated');
      expect(activated).toHaveLength(round);
      await Promise.all(all.map(({ keyring }) => keyring.maintain()));
      const active = await first.db.signingKeys.kid('active');
      expect(all.map(({ keyring }) => keyring.active().kid)).toEqual(all.map(() => active));
      await first.db.signingKeys.kid('next');
    }
  });

  test('does not happen automatically with SIGNING_KEY_ROTATION=off', async () => {
    const app = await start({ SIGNING_KEY_ROTATION: 'off' });
    await app.db.signingKeys.age(3650 * daySeconds);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['active', 'next']);
  });
});

describe('a retired key', () => {
  const rotate = async (app: TestApp) => {
    await app.db.signingKeys.age(91 * daySeconds);
    await app.keyring.maintain();
  };

  test('is published until its last token has expired, plus the clock skew', async () => {
    const app = await start();
    const { access_token: token } = await app.register();
    await rotate(app);
    await app.db.signingKeys.age(keepSeconds - 5);
    await app.keyring.maintain();
    expect(await publishedBy(app)).toHaveLength(3);
    expect((await app.get('/me', token)).status).toBe(200);

    await app.db.signingKeys.age(5);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['active', 'next']);
    expect(await publishedBy(app)).toHaveLength(2);
    expect((await app.get('/me', token)).status).toBe(401);
    expect((await keyEvents(app.db)).at(-1)).toEqual({ type: 'deleted', kid: kidOf(token), reason: 'spent' });
  });

  test('stays published for the longest ACCESS_TTL of any process that could sign with it', async () => {
    const app = await start();
    const generous = await start({ ACCESS_TTL: '1h' });
    await rotate(app);
    await app.db.signingKeys.age(3600 + 300 + 60 - 5);
    await Promise.all([app.keyring.maintain(), generous.keyring.maintain()]);
    expect(await statuses(app)).toEqual(['retired', 'active', 'next']);
    await app.db.signingKeys.age(5);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['active', 'next']);
  });
});

test('the database rejects a second next or active key of an algorithm, and a revoked key with a private part', async () => {
  const app = await start();
  const copy = (status: KeyStatus) => app.db.signingKeys.insertCopy({ kid: 'copy', status });
  await expect(copy('next')).rejects.toThrow(/signing_keys_one_next/);
  await expect(copy('active')).rejects.toThrow(/signing_keys_one_active/);
  await expect(copy('revoked')).rejects.toThrow(/signing_keys_revoked_is_destroyed/);
});

test('the next key signs immediately if the active one is lost', async () => {
  const app = await start();
  const next = await app.db.signingKeys.kid('next');
  await app.db.signingKeys.remove('active');
  await app.keyring.maintain();
  expect(await signerOf(app)).toBe(next);
  expect(await statuses(app)).toEqual(['active', 'next']);
});

test('a process that cannot decrypt a new key keeps its keys and creates none', async () => {
  const app = await start();
  const before = await publishedBy(app);
  await app.db.signingKeys.retire('next');
  await app.db.signingKeys.insertCopy({ kid: 'foreign', status: 'retired', masterKeyId: 'unknown' });
  await expect(app.keyring.maintain()).rejects.toThrow('MASTER_KEYS does not contain master key unknown');
  expect(await publishedBy(app)).toEqual(before);
  expect(await statuses(app)).not.toContain('next');
});
