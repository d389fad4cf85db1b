import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Settings, startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atOnce } from '../support/workers.ts';
import { keyEvents, keyOf, kidOf, letKeysPass, publishedBy, readKeyRows } from './key-rows.ts';

const daySeconds = 86_400;
/** JWKS_MAX_AGE and as much again of stale-while-revalidate, and the margin. */
const publishSeconds = 300 + 300 + 60;
/** ACCESS_TTL, JWKS_MAX_AGE and the skew of clocks. */
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

const statuses = async ({ sql }: TestApp) => (await readKeyRows(sql)).map(({ status }) => status);
const signerOf = async (app: TestApp) => kidOf((await app.register()).access_token);

describe('the first start', () => {
  test('makes a key that signs and the next one, and publishes both', async () => {
    const app = await start();
    const [active, next] = [await keyOf(app.sql, 'active'), await keyOf(app.sql, 'next')];
    expect(await signerOf(app)).toBe(active);
    expect(await publishedBy(app)).toEqual([next, active]);
    expect(await keyEvents(app.sql)).toEqual([
      { type: 'made', kid: active, reason: 'active' },
      { type: 'made', kid: next, reason: 'next' },
    ]);
  });

  test('of ten processes at once makes them once', async () => {
    const started = await atOnce(10, () => start());
    expect(await statuses(started[0] as TestApp)).toEqual(['active', 'next']);
    expect(new Set(await Promise.all(started.map(signerOf))).size).toBe(1);
  });

  test('of a deployment that has one active key, as the release before made it, adds the next one', async () => {
    const app = await start();
    const active = await keyOf(app.sql, 'active');
    await app.sql.query(`DELETE FROM signing_keys WHERE status = 'next'`);
    const upgraded = await start();
    expect(await statuses(upgraded)).toEqual(['active', 'next']);
    expect(await keyOf(app.sql, 'active')).toBe(active);
  });
});

describe('a rotation', () => {
  test('comes after SIGNING_KEY_ROTATION and not before; the former key stays in the JWKS, and good', async () => {
    const app = await start();
    const account = await app.register();
    const [first, second] = [await keyOf(app.sql, 'active'), await keyOf(app.sql, 'next')];
    await letKeysPass(app.sql, 90 * daySeconds - 60);
    await app.keyring.maintain();
    expect(await keyOf(app.sql, 'active')).toBe(first);

    await letKeysPass(app.sql, 60);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['retired', 'active', 'next']);
    expect(await keyOf(app.sql, 'active')).toBe(second);
    expect(await signerOf(app)).toBe(second);
    expect(await publishedBy(app)).toEqual([await keyOf(app.sql, 'next'), second, first]);
    expect((await app.get('/me', account.access_token)).status).toBe(200);
    expect(app.keyring.activeSince()?.getTime()).toBeGreaterThan(Date.now() - 60_000);
    expect((await keyEvents(app.sql)).slice(2)).toEqual([
      { type: 'retired', kid: first, reason: 'aged' },
      { type: 'activated', kid: second, reason: 'aged' },
      { type: 'made', kid: await keyOf(app.sql, 'next'), reason: 'next' },
    ]);
  });

  test('waits until the next key has been published for long enough, however old the active one is', async () => {
    const app = await start();
    const first = await keyOf(app.sql, 'active');
    await letKeysPass(app.sql, 91 * daySeconds);
    await app.sql.query(`DELETE FROM signing_keys WHERE status = 'next'`);
    await app.keyring.maintain();
    await letKeysPass(app.sql, publishSeconds - 5);
    await app.keyring.maintain();
    expect(await signerOf(app)).toBe(first);
    await letKeysPass(app.sql, 5);
    await app.keyring.maintain();
    expect(await signerOf(app)).not.toBe(first);
  });

  test('waits for the longest JWKS_MAX_AGE of any process', async () => {
    const app = await start({ SIGNING_KEY_ROTATION: '1s' });
    const patient = await start({ SIGNING_KEY_ROTATION: '1s', JWKS_MAX_AGE: '1h' });
    await letKeysPass(app.sql, 7200 + 60 - 5);
    await Promise.all([app.keyring.maintain(), patient.keyring.maintain()]);
    expect(await statuses(app)).toEqual(['active', 'next']);
    await letKeysPass(app.sql, 5);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['retired', 'active', 'next']);
  });

  test('by ten processes at once happens once, every time, and all sign with one key', async () => {
    const all = await atOnce(10, () => start());
    const [first] = all as [TestApp];
    for (let turn = 1; turn <= 3; turn += 1) {
      await letKeysPass(first.sql, 91 * daySeconds);
      await Promise.all(all.map(({ keyring }) => keyring.maintain()));
      const activated = (await keyEvents(first.sql)).filter(({ type }) => type === 'activated');
      expect(activated).toHaveLength(turn);
      await Promise.all(all.map(({ keyring }) => keyring.maintain()));
      const active = await keyOf(first.sql, 'active');
      expect(all.map(({ keyring }) => keyring.active().kid)).toEqual(all.map(() => active));
      await keyOf(first.sql, 'next');
    }
  });

  test('never comes by itself with SIGNING_KEY_ROTATION=off', async () => {
    const app = await start({ SIGNING_KEY_ROTATION: 'off' });
    await letKeysPass(app.sql, 3650 * daySeconds);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['active', 'next']);
  });
});

describe('a retired key', () => {
  const rotate = async (app: TestApp) => {
    await letKeysPass(app.sql, 91 * daySeconds);
    await app.keyring.maintain();
  };

  test('is published until the last token that it signed has expired, and the skew is over; then it is gone', async () => {
    const app = await start();
    const { access_token: token } = await app.register();
    await rotate(app);
    await letKeysPass(app.sql, keepSeconds - 5);
    await app.keyring.maintain();
    expect(await publishedBy(app)).toHaveLength(3);
    expect((await app.get('/me', token)).status).toBe(200);

    await letKeysPass(app.sql, 5);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['active', 'next']);
    expect(await publishedBy(app)).toHaveLength(2);
    expect((await app.get('/me', token)).status).toBe(401);
    expect((await keyEvents(app.sql)).at(-1)).toEqual({ type: 'deleted', kid: kidOf(token), reason: 'spent' });
  });

  test('stays for the longest ACCESS_TTL of any process that could sign with it', async () => {
    const app = await start();
    const generous = await start({ ACCESS_TTL: '1h' });
    await rotate(app);
    await letKeysPass(app.sql, 3600 + 300 + 60 - 5);
    await Promise.all([app.keyring.maintain(), generous.keyring.maintain()]);
    expect(await statuses(app)).toEqual(['retired', 'active', 'next']);
    await letKeysPass(app.sql, 5);
    await app.keyring.maintain();
    expect(await statuses(app)).toEqual(['active', 'next']);
  });
});

test('the database takes no second next or active key of an algorithm, and no revoked key that could come back', async () => {
  const app = await start();
  const copy = (status: string, more = '') =>
    app.sql.query(`INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id)
                   SELECT 'copy', alg, '${status}', public_jwk, sealed_key, master_key_id FROM signing_keys LIMIT 1 ${more}`);
  await expect(copy('next')).rejects.toThrow(/signing_keys_one_next/);
  await expect(copy('active')).rejects.toThrow(/signing_keys_one_active/);
  await expect(copy('revoked')).rejects.toThrow(/signing_keys_revoked_is_destroyed/);
});

test('where the active key is lost, the next one signs at once', async () => {
  const app = await start();
  const next = await keyOf(app.sql, 'next');
  await app.sql.query(`DELETE FROM signing_keys WHERE status = 'active'`);
  await app.keyring.maintain();
  expect(await signerOf(app)).toBe(next);
  expect(await statuses(app)).toEqual(['active', 'next']);
});

test('a process that cannot open a key that another one made keeps what it has, and makes nothing', async () => {
  const app = await start();
  const before = await publishedBy(app);
  await app.sql.query(
    `UPDATE signing_keys SET status = 'retired', retired_at = clock_timestamp() WHERE status = 'next'`,
  );
  await app.sql.query(`INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id)
                       SELECT 'foreign', alg, 'retired', public_jwk, sealed_key, 'unknown' FROM signing_keys LIMIT 1`);
  await expect(app.keyring.maintain()).rejects.toThrow('MASTER_KEYS does not contain master key unknown');
  expect(await publishedBy(app)).toEqual(before);
  expect(await statuses(app)).not.toContain('next');
});
