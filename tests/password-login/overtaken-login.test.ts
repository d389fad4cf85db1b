import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { hash as argon2 } from '@node-rs/argon2';
import { type Account, password, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

/** Resolves when a statement of the service waits for a lock. */
async function untilBlocked() {
  for (let tries = 0; tries < 400; tries += 1) {
    const { rows } = await app.sql.query(
      `SELECT 1 FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'keyturn' AND wait_event_type = 'Lock'`,
    );
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('nothing waited for a lock in 4 s');
}

/** Has the login's password verified, then changes the user's row before the login can open its session. */
async function loginOvertakenBy({ email, user }: Account, statement: string, values: unknown[] = []) {
  const other = await app.sql.connect();
  try {
    await other.query('BEGIN');
    await other.query('SELECT 1 FROM users WHERE id = $1 FOR UPDATE', [user.id]);
    const login = app.login(email);
    const answered = login.then(() => 'answered');
    expect(await Promise.race([untilBlocked(), answered])).toBeUndefined();
    await other.query(statement, [user.id, ...values]);
    await other.query('COMMIT');
    return await login;
  } finally {
    other.release();
  }
}

const liveSessions = async ({ user }: Account) => {
  const { rows } = await app.sql.query('SELECT id FROM sessions WHERE user_id = $1', [user.id]);
  return rows.map(({ id }) => id as string);
};

test('a login whose password is changed after it was verified opens no session', async () => {
  const account = await app.register();
  const changed = await argon2('a quieter mare and no battery');
  const response = await loginOvertakenBy(account, 'UPDATE users SET password_hash = $2 WHERE id = $1', [changed]);
  expect(response.status).toBe(401);
  expect(response.body.code).toBe('invalid_credentials');
  expect(await liveSessions(account)).toEqual([account.session_id]);
});

test('a login whose account is disabled after it was verified opens no session', async () => {
  const account = await app.register();
  const response = await loginOvertakenBy(account, 'UPDATE users SET is_active = false WHERE id = $1');
  expect(response.status).toBe(401);
  expect(await liveSessions(account)).toEqual([account.session_id]);
});

test('a login whose account is deleted after it was verified opens no session', async () => {
  const account = await app.register();
  const response = await loginOvertakenBy(account, 'DELETE FROM users WHERE id = $1');
  expect(response.status).toBe(401);
  expect(await liveSessions(account)).toEqual([]);
});

test('a login whose hash is replaced by another of the same password after it was verified succeeds', async () => {
  const account = await app.register();
  const rehashed = await argon2(password);
  const response = await loginOvertakenBy(account, 'UPDATE users SET password_hash = $2 WHERE id = $1', [rehashed]);
  expect(response.status).toBe(200);
  expect((await app.get('/me', response.body.access_token)).status).toBe(200);
});

test('a login whose user is renamed meanwhile succeeds', async () => {
  const account = await app.register();
  const response = await loginOvertakenBy(account, `UPDATE users SET display_name = 'Ada King' WHERE id = $1`);
  expect(response.status).toBe(200);
});
