// A change of the master key: every process verifies with both keys before one of them creates tokens with the new one.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { generationOf, granted, rejectionReason, refreshTimes } from '../support/refresh-tokens.ts';
import { atOnce } from '../support/workers.ts';

const [former, next] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
let database: TestDatabase;
let before: TestApp;
let appended: TestApp;
let reordered: TestApp;

beforeAll(async () => {
  database = await createDatabase();
  const databaseUrl = database.url;
  before = await startApp({ MASTER_KEYS: former }, { databaseUrl });
  appended = await startApp({ MASTER_KEYS: `${former},${next}` }, { databaseUrl });
  reordered = await startApp({ MASTER_KEYS: `${next},${former}` }, { databaseUrl });
});
afterAll(async () => {
  await Promise.all([before, appended, reordered].map((app) => app.close()));
  await database.drop();
});

test('an earlier session can be refreshed at every stage of the change', async () => {
  const { refresh_token: first } = await before.register();
  const second = granted(await appended.refresh(first));
  const third = granted(await reordered.refresh(second));
  expect(generationOf(granted(await before.refresh(third)))).toBe(3);
});

test('processes with the keys in a different order return the same successor to a retry (invariant 1)', async () => {
  for (const creator of [appended, reordered]) {
    const { refresh_token: spent } = await creator.register();
    const successor = granted(await reordered.refresh(spent));
    expect(granted(await appended.refresh(spent))).toBe(successor);
    const [, , latest] = await refreshTimes(appended, successor, 2);
    expect(granted(await reordered.refresh(spent))).toBe(latest);
  }
});

test('concurrent refreshes at processes with the keys in a different order get one successor (invariant 2)', async () => {
  const { refresh_token: spent, session_id: id } = await before.register();
  const responses = await atOnce(12, (index) => (index % 2 ? appended : reordered).refresh(spent));
  expect(new Set(responses.map(granted)).size).toBe(1);
  expect((await before.db.sessions.get(id)).generation).toBe(1);
});

test('new sessions use the first key, and a process without that key refuses their tokens without revoking the session', async () => {
  const { refresh_token: token } = await reordered.register();
  expect(rejectionReason(await before.refresh(token))).toBeUndefined();
  granted(await appended.refresh(token));
});

test('the former key can be removed when every process has the new key first', async () => {
  const fresh = await createDatabase();
  const start = (...keys: string[]) => startApp({ MASTER_KEYS: keys.join(',') }, { databaseUrl: fresh.url });
  const kidOf = async (app: TestApp) => (await app.get('/.well-known/jwks.json')).body.keys[0].kid as string;
  const [k1, k2, k3] = [former, next, Buffer.alloc(32, 3).toString('base64url')];

  const first = await start(k1);
  const kid = await kidOf(first);
  await first.close();
  for (const keys of [[k1, k2], [k2, k1], [k2], [k3, k2], [k3]]) {
    const app = await start(...keys);
    expect(await kidOf(app)).toBe(kid);
    const { access_token: token } = await app.register();
    expect((await app.get('/me', token)).status).toBe(200);
    await app.close();
  }
  await expect(start(k1)).rejects.toThrow('MASTER_KEYS does not contain master key');
  await fresh.drop();
});
