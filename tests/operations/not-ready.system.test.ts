import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { formatToken, makeRatchet } from '../../src/core/sessions/refresh-token.ts';
import { newId } from '../../src/lib/ids.ts';
import { makeCheckReadiness } from '../../src/features/health/readiness.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openRows } from '../support/rows/index.ts';
import { waitUntilReady } from '../support/service.ts';
import { startForTest } from './processes.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const withLevel = (lines: string[], level: string) => lines.filter((line) => line.includes(`"level":"${level}"`));

test('a service on an unmigrated database logs the command to run, and becomes ready after it', async () => {
  const empty = await createDatabase();
  await empty.use((db) => db.server.empty());
  const masterKey = randomBytes(32);
  const service = await startForTest({ DATABASE_URL: empty.url, MASTER_KEYS: masterKey.toString('base64url') });
  const waiting = await service.get('/readyz');
  const checks = { migrations: 'pending', signing_key: 'missing', postgres: 'up' };
  expect([waiting.status, waiting.body]).toMatchObject([503, { code: 'not_ready', checks }]);
  expect((await service.get('/healthz')).status).toBe(200);
  expect((await service.get('/.well-known/jwks.json')).status).toBe(503);
  const login = await service.login('ada@example.com');
  expect([login.status, login.body]).toMatchObject([503, { code: 'not_ready' }]);
  // Without keys no token can be verified: a 401 would make its client log in again.
  const me = await service.get('/me', 'any.access.token');
  expect([me.status, me.body]).toMatchObject([503, { code: 'not_ready' }]);
  // Its MAC is valid, so the service must query the database.
  const token = makeRatchet(deriveMasterKeys([masterKey])).start(newId(Date.now()));
  const logout = await service.post('/logout', { refresh_token: formatToken(token) });
  expect([logout.status, logout.body]).toMatchObject([503, { code: 'not_ready' }]);

  await applyMigrations(empty.url);
  await waitUntilReady(service);
  await service.register();
  expect(await service.stop()).toBe(0);
  await empty.drop();

  const warnings = withLevel(service.lines, 'warn');
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toMatch(/migrations are not applied: \d+_init.*; run npm run db:migrate/);
  expect(warnings[1]).toMatch(/"cause":"not_migrated","code":"42P01".*Run npm run db:migrate/); // the logout
  expect(withLevel(service.lines, 'error')).toEqual([]);
  expect(service.lines.filter((line) => line.includes('"reason":"starting"'))).not.toEqual([]);
}, 20_000);

test('startup fails with one sentence if no master key decrypts the signing key', async () => {
  const first = await startForTest({ DATABASE_URL: database.url });
  await waitUntilReady(first);
  expect(await first.stop()).toBe(0);

  const wrong = randomBytes(32).toString('base64url');
  const second = await startForTest({ DATABASE_URL: database.url, MASTER_KEYS: wrong });
  await once(second.child, 'exit');
  expect(second.child.exitCode).toBe(1);
  const printed = second.lines.filter((line) => !line.startsWith('{'));
  expect(printed).toHaveLength(1);
  expect(printed[0]).toMatch(
    /^Error: MASTER_KEYS does not contain master key [\da-f]{16}, which encrypts signing key [\w-]{43}\. Append /,
  );
  expect(printed[0]).not.toContain(wrong);
}, 20_000);

test('startup fails with one sentence if a signing key in the database is damaged', async () => {
  const settings = { DATABASE_URL: database.url, MASTER_KEYS: randomBytes(32).toString('base64url') };
  await database.use((db) => db.signingKeys.remove());
  const first = await startForTest(settings);
  await waitUntilReady(first);
  expect(await first.stop()).toBe(0);

  await database.use((db) => db.signingKeys.corrupt());
  const second = await startForTest(settings);
  await once(second.child, 'exit');
  expect(second.child.exitCode).toBe(1);
  const printed = second.lines.filter((line) => !line.startsWith('{'));
  expect(printed).toEqual([
    expect.stringMatching(/^Error: Signing key [\w-]{43} is damaged in the database\. Restore /),
  ]);
}, 20_000);

test('requests get 503 in time while every connection waits for a lock, and succeed after it', async () => {
  const masterKeys = randomBytes(32).toString('base64url');
  await database.use((db) => db.signingKeys.remove());
  const settings = {
    DATABASE_URL: database.url,
    DATABASE_TIMEOUT: '1s',
    DATABASE_POOL_MAX: '2',
    MASTER_KEYS: masterKeys,
  };
  const service = await startForTest(settings);
  await waitUntilReady(service);
  const account = await service.register();

  const blocker = new pg.Client(database.url);
  await blocker.connect();
  await blocker.query('BEGIN');
  await openRows(blocker).server.lockTable('sessions');
  const startedMs = performance.now();
  const responses = await Promise.all(Array.from({ length: 20 }, () => service.get('/me', account.access_token)));
  const tookMs = performance.now() - startedMs;
  await blocker.query('ROLLBACK');
  await blocker.end();

  expect(responses.map(({ status, body }) => [status, (body as { code: string }).code])).toEqual(
    responses.map(() => [503, 'not_ready']),
  );
  expect(tookMs).toBeLessThan(4000);
  expect((await service.get('/me', account.access_token)).status).toBe(200);
  expect(await service.stop()).toBe(0);
}, 20_000);

test('/readyz asks Postgres once per second, however often it is called', async () => {
  const realNow = performance.now.bind(performance);
  let [nowMs, queries, isUp] = [0, 0, true];
  performance.now = () => nowMs;
  const check = makeCheckReadiness({
    readiness: { migrated: true, keysLoaded: () => true, draining: false },
    isDatabaseResponding: async () => ((queries += 1), isUp),
    redisIsUp: undefined,
  });
  const states = async () => (await Promise.all(Array.from({ length: 20 }, check))).map(({ postgres }) => postgres);
  try {
    expect(new Set(await states())).toEqual(new Set(['up']));
    isUp = false;
    nowMs = 999;
    expect([new Set(await states()), queries]).toEqual([new Set(['up']), 1]);
    nowMs = 1000;
    expect([new Set(await states()), queries]).toEqual([new Set(['down']), 2]);
  } finally {
    performance.now = realNow;
  }
});
