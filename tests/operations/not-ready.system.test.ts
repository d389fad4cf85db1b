import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { formatToken, makeRatchet } from '../../src/core/sessions/refresh-token.ts';
import { newId } from '../../src/lib/ids.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openRows } from '../support/rows/index.ts';
import { productionSettings, waitUntilNotReady, waitUntilReady } from '../support/service.ts';
import type { Settings } from '../harness.ts';
import { run, startForTest } from './processes.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** What a process prints, except log lines, that fails to start. */
async function printedAtFailedStart(settings: Settings): Promise<string[]> {
  const environment = { ...productionSettings(), ...settings };
  const { code, stdout, stderr } = await run(process.execPath, ['bin/keyturn.cjs', 'main'], environment);
  expect(code).toBe(1);
  return `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
}

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

test('a service listens only when it is ready, unless that takes longer than two seconds', async () => {
  await database.use((db) => db.signingKeys.remove());
  const startedMs = performance.now();
  const service = await startForTest({ DATABASE_URL: database.url });
  const isSlow = performance.now() - startedMs > 2000;
  const { status } = await service.get('/readyz');
  expect([200, ...(isSlow ? [503] : [])]).toContain(status);
  expect(await service.stop()).toBe(0);
}, 20_000);

test('a running service notices a damaged schema, logs what to do, and is ready again after it is repaired', async () => {
  await database.use((db) => db.signingKeys.remove());
  const service = await startForTest({ DATABASE_URL: database.url });
  await database.use((db) => db.server.run('ALTER TABLE audit_events DISABLE TRIGGER audit_events_append_only'));
  await waitUntilNotReady(service);
  await database.use((db) => db.server.run('ALTER TABLE audit_events ENABLE TRIGGER audit_events_append_only'));
  await waitUntilReady(service);
  expect(await service.stop()).toBe(0);
  const errors = withLevel(service.lines, 'error');
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatch(
    /The database lacks the trigger audit_events_append_only of audit_events\. .*stop every process/,
  );
}, 40_000);

test('startup fails with one sentence if no master key decrypts the signing key', async () => {
  await database.use((db) => db.signingKeys.remove());
  const first = await startForTest({ DATABASE_URL: database.url });
  await waitUntilReady(first);
  expect(await first.stop()).toBe(0);

  const wrong = randomBytes(32).toString('base64url');
  const printed = await printedAtFailedStart({ DATABASE_URL: database.url, MASTER_KEYS: wrong });
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
  expect(await printedAtFailedStart(settings)).toEqual([
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
  // One after the other, on two connections, they would take 50 seconds.
  const responses = await Promise.all(Array.from({ length: 100 }, () => service.get('/me', account.access_token)));
  const tookMs = performance.now() - startedMs;
  await blocker.query('ROLLBACK');
  await blocker.end();

  expect(responses.map(({ status, body }) => [status, (body as { code: string }).code])).toEqual(
    responses.map(() => [503, 'not_ready']),
  );
  expect(tookMs).toBeLessThan(15_000);
  expect((await service.get('/me', account.access_token)).status).toBe(200);
  expect(await service.stop()).toBe(0);
}, 60_000);
