// Invariants 1, 5 and 7, one order of events at a time: a request is stopped before a statement while another request runs.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { hash as bcryptHash } from '@node-rs/bcrypt';
import type { Response } from 'supertest';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { generationOf, granted, rejectionReason } from '../support/refresh-tokens.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/tcp-proxy.ts';

const sessionInsert = /INSERT INTO sessions/;
const rotationStatement = /UPDATE sessions AS s\s+SET expires_at/;
const revocation = /UPDATE sessions AS s SET revoked_at/;
const rehash = /UPDATE "public"\."users" SET "password_hash"/;
const newPassword = 'a quieter mare and no battery';

let database: TestDatabase;
let proxy: PostgresProxy;
/** Connects to Postgres through the proxy. The other app connects directly. */
let proxied: TestApp;
let unproxied: TestApp;
let account: Account;

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startPostgresProxy(database.url);
  const settings = { MASTER_KEYS: randomBytes(32).toString('base64url') };
  proxied = await startApp(settings, { databaseUrl: proxy.url });
  unproxied = await startApp(settings, { databaseUrl: database.url });
});
afterAll(async () => {
  await Promise.all([proxied.close(), unproxied.close()]);
  await proxy.close();
  await database.drop();
});
beforeEach(async () => {
  account = await unproxied.register();
});

/** Starts a request, stops it before a statement, runs `meanwhile`, and returns the response of the stopped request. */
async function interleave(
  start: () => Promise<Response>,
  statement: RegExp,
  meanwhile: () => Promise<unknown>,
): Promise<Response> {
  const stopped = proxy.withholdStatement(statement);
  const pending = start();
  const respondedEarly = pending.then(({ status }) =>
    Promise.reject(new Error(`returned ${status} before it reached the statement`)),
  );
  const { release } = await Promise.race([stopped, respondedEarly]);
  respondedEarly.catch(() => {});
  await meanwhile();
  release();
  return pending;
}

const noContent = async (pending: Promise<Response>) => expect((await pending).status).toBe(204);
const logIn = () => proxied.login(account.email);
const refresh = () => proxied.refresh(account.refresh_token);
const changePassword = () =>
  noContent(
    unproxied.post('/me/password', { current_password: password, new_password: newPassword }, account.access_token),
  );
const setHash = (hash: string) => unproxied.db.users.setPasswordHash(account, hash);
const disable = () => unproxied.db.users.disable(account);

const unrevoked = async () =>
  (await unproxied.db.sessions.of(account.user.id)).flatMap(({ id, revokedReason }) => (revokedReason ? [] : [id]));

test('a login is refused if the password changes before its session is created (invariant 7)', async () => {
  expect((await interleave(logIn, sessionInsert, changePassword)).status).toBe(401);
  expect(await unrevoked()).toEqual([account.session_id]);
});

test('a login is refused if the account is disabled before its session is created (invariant 7)', async () => {
  expect((await interleave(logIn, sessionInsert, disable)).status).toBe(401);
  expect(await unrevoked()).toEqual([account.session_id]);
});

test('a login is refused if the account is deleted before its session is created (invariant 7)', async () => {
  const erase = () => noContent(unproxied.post('/me/delete', { current_password: password }, account.access_token));
  expect((await interleave(logIn, sessionInsert, erase)).status).toBe(401);
});

test('a login succeeds if another login replaces the weak hash first', async () => {
  await setHash(await bcryptHash(password, 4));
  const response = await interleave(logIn, rehash, async () => granted(await unproxied.login(account.email)));
  expect(generationOf(granted(await unproxied.refresh(granted(response))))).toBe(1);
});

test('a rehash does not restore the old password if the password is reset first (invariant 7)', async () => {
  const other = await unproxied.register({ password: newPassword });
  const hash = await unproxied.db.users.passwordHash(other);
  await setHash(await bcryptHash(password, 4));
  const reset = () => setHash(hash);
  expect((await interleave(logIn, rehash, reset)).status).toBe(401);
  expect((await unproxied.login(account.email)).status).toBe(401);
  granted(await unproxied.login(account.email, newPassword));
});

test('a login that commits after a logout everywhere stays live', async () => {
  const response = await interleave(logIn, sessionInsert, () =>
    noContent(unproxied.post('/logout/all', undefined, account.access_token)),
  );
  granted(await unproxied.refresh(granted(response)));
  expect(rejectionReason(await unproxied.refresh(account.refresh_token))).toBe('revoked');
});

test.each([
  ['/logout/all', undefined],
  ['/me/password', { current_password: password, new_password: newPassword }],
])('%s waits for a login that has not committed and revokes its session (invariant 7)', async (path, body) => {
  const waiting: Promise<unknown>[] = [];
  const response = await interleave(logIn, /^COMMIT/, async () => {
    waiting.push(noContent(unproxied.post(path, body, account.access_token)));
    await untilWaiting();
  });
  await Promise.all(waiting);
  expect(rejectionReason(await proxied.refresh(granted(response)))).toBe('revoked');
});

test.each([
  ['is logged out', () => noContent(unproxied.post('/logout', { refresh_token: account.refresh_token }))],
  ['is disabled', disable],
])('a refresh is refused if the session or its user %s before the rotation (invariant 7)', async (_, end) => {
  expect(rejectionReason(await interleave(refresh, rotationStatement, end))).toBe('revoked');
  expect((await unproxied.db.sessions.get(account.session_id)).generation).toBe(0);
});

test('a refresh returns the same successor as a concurrent refresh that rotates first (invariant 1)', async () => {
  const successors: string[] = [];
  const response = await interleave(refresh, rotationStatement, async () => {
    successors.push(granted(await unproxied.refresh(account.refresh_token)));
  });
  expect([granted(response)]).toEqual(successors);
});

test('two concurrent reuses are both refused and audited once (invariant 5)', async () => {
  const { refresh_token: spent, session_id: id } = account;
  granted(await unproxied.refresh(spent));
  await unproxied.db.sessions.age(60, id);
  const response = await interleave(refresh, revocation, async () =>
    expect(rejectionReason(await unproxied.refresh(spent))).toBe('reused'),
  );
  expect(rejectionReason(response)).toBe('reused');
  expect(await unproxied.db.audit.refreshesOf(id)).toHaveLength(1);
});

/** Waits until a statement waits for a lock, at most two seconds. If none waits, an assertion of the test fails. */
async function untilWaiting(): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await unproxied.db.server.blockedStatements()) > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
