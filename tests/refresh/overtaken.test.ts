// Invariant 7, one order of events at a time: a login or a turn stops on its way to Postgres and is overtaken.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { hash as bcryptHash } from '@node-rs/bcrypt';
import type { Response } from 'supertest';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { generationOf, granted, refusal } from '../support/refresh-tokens.ts';
import { letPass, readSession, readSessionsOf, refreshEvents } from '../support/session-rows.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/tcp-proxy.ts';

const theBirth = /INSERT INTO sessions/;
const theTurn = /UPDATE sessions AS s\s+SET expires_at/;
const theRevocation = /UPDATE sessions AS s SET revoked_at/;
const theRehash = /UPDATE users SET password_hash/;
const newPassword = 'a quieter mare and no battery';

let database: TestDatabase;
let proxy: PostgresProxy;
/** Reaches Postgres through the proxy; the other process goes straight. */
let slow: TestApp;
let quick: TestApp;
let account: Account;

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startPostgresProxy(database.url);
  const settings = { MASTER_KEYS: randomBytes(32).toString('base64url') };
  slow = await startApp(settings, { databaseUrl: proxy.url });
  quick = await startApp(settings, { databaseUrl: database.url });
});
afterAll(async () => {
  await Promise.all([slow.close(), quick.close()]);
  await proxy.close();
  await database.drop();
});
beforeEach(async () => {
  account = await quick.register();
});

/** Starts a request, lets others overtake it when it has come to a statement, and answers what it got in the end. */
async function overtake(
  start: () => Promise<Response>,
  statement: RegExp,
  overtaking: () => Promise<unknown>,
): Promise<Response> {
  const stopped = proxy.withholdStatement(statement);
  const pending = start();
  const answered = pending.then(({ status }) =>
    Promise.reject(new Error(`answered ${status} before it was overtaken`)),
  );
  const { release } = await Promise.race([stopped, answered]);
  answered.catch(() => {});
  await overtaking();
  release();
  return pending;
}

const noContent = async (pending: Promise<Response>) => expect((await pending).status).toBe(204);
const logIn = () => slow.login(account.email);
const turn = () => slow.refresh(account.refresh_token);
const changePassword = () =>
  noContent(
    quick.post('/me/password', { current_password: password, new_password: newPassword }, account.access_token),
  );
const change = (assignment: string, value: unknown) =>
  quick.sql.query(`UPDATE users SET ${assignment} WHERE id = $1`, [account.user.id, value]);

const unrevoked = async () =>
  (await readSessionsOf(quick.sql, account.user.id)).flatMap(({ id, revokedReason }) => (revokedReason ? [] : [id]));

test('a login that a change of the password overtakes is refused (invariant 7)', async () => {
  expect((await overtake(logIn, theBirth, changePassword)).status).toBe(401);
  expect(await unrevoked()).toEqual([account.session_id]);
});

test('a login that a disabling overtakes is refused, and leaves no session behind (invariant 7)', async () => {
  expect((await overtake(logIn, theBirth, () => change('is_active = $2', false))).status).toBe(401);
  expect(await unrevoked()).toEqual([account.session_id]);
});

test('a login that a deletion of the account overtakes is refused (invariant 7)', async () => {
  const erase = () => noContent(quick.post('/me/delete', { current_password: password }, account.access_token));
  expect((await overtake(logIn, theBirth, erase)).status).toBe(401);
});

test('a login that a rehash of the same password overtakes succeeds', async () => {
  await change('password_hash = $2', await bcryptHash(password, 4));
  const answer = await overtake(logIn, theRehash, async () => granted(await quick.login(account.email)));
  expect(generationOf(granted(await quick.refresh(granted(answer))))).toBe(1);
});

test('a rehash that a reset overtakes does not bring the old password back (invariant 7)', async () => {
  const other = await quick.register({ password: newPassword });
  const { rows } = await quick.sql.query<{ hash: string }>('SELECT password_hash AS hash FROM users WHERE id = $1', [
    other.user.id,
  ]);
  await change('password_hash = $2', await bcryptHash(password, 4));
  const reset = () => change('password_hash = $2', rows[0]?.hash);
  expect((await overtake(logIn, theRehash, reset)).status).toBe(401);
  expect((await quick.login(account.email)).status).toBe(401);
  granted(await quick.login(account.email, newPassword));
});

test('a login that a logout everywhere overtakes comes after it, and lives', async () => {
  const answer = await overtake(logIn, theBirth, () =>
    noContent(quick.post('/logout/all', undefined, account.access_token)),
  );
  granted(await quick.refresh(granted(answer)));
  expect(refusal(await quick.refresh(account.refresh_token))).toBe('revoked');
});

test.each([
  ['/logout/all', undefined],
  ['/me/password', { current_password: password, new_password: newPassword }],
])('a login that is not committed yet ends by the %s that waits for it (invariant 7)', async (path, body) => {
  const ends: Promise<unknown>[] = [];
  const answer = await overtake(logIn, /^COMMIT/, async () => {
    ends.push(noContent(quick.post(path, body, account.access_token)));
    await untilWaiting();
  });
  await Promise.all(ends);
  expect(refusal(await slow.refresh(granted(answer)))).toBe('revoked');
});

test.each([
  ['a logout', () => noContent(quick.post('/logout', { refresh_token: account.refresh_token }))],
  ['a disabling', () => change('is_active = $2', false)],
])('a turn that %s overtakes is refused (invariant 7)', async (_, end) => {
  expect(refusal(await overtake(turn, theTurn, end))).toBe('revoked');
  expect((await readSession(quick.sql, account.session_id)).generation).toBe(0);
});

test('a turn that a turn of the same token overtakes answers what that one answered (invariant 1)', async () => {
  const successors: string[] = [];
  const answer = await overtake(turn, theTurn, async () => {
    successors.push(granted(await quick.refresh(account.refresh_token)));
  });
  expect([granted(answer)]).toEqual(successors);
});

test('a reuse that another reuse overtakes is refused as well, and audited once (invariant 5)', async () => {
  const { refresh_token: spent, session_id: id } = account;
  granted(await quick.refresh(spent));
  await letPass(quick.sql, 60, [id]);
  const answer = await overtake(turn, theRevocation, async () =>
    expect(refusal(await quick.refresh(spent))).toBe('reused'),
  );
  expect(refusal(answer)).toBe('reused');
  expect(await refreshEvents(quick.sql, id)).toHaveLength(1);
});

/** Until some statement waits for a lock, or for two seconds: then it does not wait, and the test fails by itself. */
async function untilWaiting(): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { rowCount } = await quick.sql.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (rowCount) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
