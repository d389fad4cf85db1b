import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { hash as argon2 } from '@node-rs/argon2';
import { type Account, password, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

/** Waits until a statement of the service waits for a lock. */
async function untilBlocked() {
  for (let tries = 0; tries < 400; tries += 1) {
    if ((await app.db.server.blockedStatements()) > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('no statement waited for a lock in 4 s');
}

/** Changes the user's row after the login has verified the password and before it creates the session. */
async function loginDuring({ email, user }: Account, statement: string, values: unknown[] = []) {
  const other = await app.sql.connect();
  try {
    await other.query('BEGIN');
    await other.query('SELECT 1 FROM users WHERE id = $1 FOR UPDATE', [user.id]);
    const login = app.login(email);
    const finished = login.then(() => 'finished');
    expect(await Promise.race([untilBlocked(), finished])).toBeUndefined();
    await other.query(statement, [user.id, ...values]);
    await other.query('COMMIT');
    return await login;
  } finally {
    other.release();
  }
}

const sessionsOf = async (account: Account) => (await app.db.sessions.of(account)).map(({ id }) => id);

test('a login creates no session if the password changes after it was verified', async () => {
  const account = await app.register();
  const changed = await argon2('a quieter mare and no battery');
  const response = await loginDuring(account, 'UPDATE users SET password_hash = $2 WHERE id = $1', [changed]);
  expect(response.status).toBe(401);
  expect(response.body.code).toBe('invalid_credentials');
  expect(await sessionsOf(account)).toEqual([account.session_id]);
});

test('a login creates no session if the account is disabled after the password was verified', async () => {
  const account = await app.register();
  const response = await loginDuring(account, 'UPDATE users SET is_active = false WHERE id = $1');
  expect(response.status).toBe(401);
  expect(await sessionsOf(account)).toEqual([account.session_id]);
});

test('a login creates no session if the account is deleted after the password was verified', async () => {
  const account = await app.register();
  const response = await loginDuring(account, 'DELETE FROM users WHERE id = $1');
  expect(response.status).toBe(401);
  expect(await sessionsOf(account)).toEqual([]);
});

test('a login succeeds if another hash of the same password is stored after it was verified', async () => {
  const account = await app.register();
  const rehashed = await argon2(password);
  const response = await loginDuring(account, 'UPDATE users SET password_hash = $2 WHERE id = $1', [rehashed]);
  expect(response.status).toBe(200);
  expect((await app.get('/me', response.body.access_token)).status).toBe(200);
});

test('a login succeeds if the user is renamed after the password was verified', async () => {
  const account = await app.register();
  const response = await loginDuring(account, `UPDATE users SET display_name = 'Ada King' WHERE id = $1`);
  expect(response.status).toBe(200);
});
