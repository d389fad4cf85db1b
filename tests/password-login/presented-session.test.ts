import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { password, startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const loginWith = (authorization: string, { email }: Account, secret = password) =>
  app.call('post', '/login', { body: { email, password: secret }, headers: { authorization } });

const lives = async ({ access_token: token }: Pick<Account, 'access_token'>) =>
  (await app.get('/me', token)).status === 200;

describe('a login that presents a live access token ends that session', () => {
  test('of the same user, and no other', async () => {
    const account = await app.register();
    const other = (await app.login(account.email)).body;
    const fresh = await loginWith(`Bearer ${account.access_token}`, account);

    expect(fresh.status).toBe(200);
    expect(await lives(account)).toBe(false);
    expect((await app.refresh(account.refresh_token)).body).toMatchObject({ status: 401, reason: 'revoked' });
    expect([await lives(other), await lives(fresh.body)]).toEqual([true, true]);
    const { rows } = await app.sql.query('SELECT revoked_reason AS reason FROM sessions WHERE id = $1', [
      account.session_id,
    ]);
    expect(rows).toEqual([{ reason: 'replaced_by_login' }]);
  });

  test('of another user on the same machine', async () => {
    const [first, second] = [await app.register(), await app.register()];
    const fresh = await loginWith(`bearer  ${first.access_token}`, second);
    expect(fresh.status).toBe(200);
    expect([await lives(first), await lives(second), await lives(fresh.body)]).toEqual([false, true, true]);
  });

  test('also with fifty logins at once, which all succeed', async () => {
    const account = await app.register();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => loginWith(`Bearer ${account.access_token}`, account)),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(await lives(account)).toBe(false);
    const { rows } = await app.sql.query(
      'SELECT count(*)::int AS n FROM sessions WHERE user_id = $1 AND revoked_at IS NULL',
      [account.user.id],
    );
    expect(rows).toEqual([{ n: 50 }]);
  });

  test('and two users who present one another’s tokens at once both get in', async () => {
    for (let round = 0; round < 5; round += 1) {
      const [one, two] = [await app.register(), await app.register()];
      const answers = await Promise.all([
        loginWith(`Bearer ${one.access_token}`, two),
        loginWith(`Bearer ${two.access_token}`, one),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect([await lives(one), await lives(two)]).toEqual([false, false]);
    }
  });
});

describe('a login ends nothing', () => {
  test('where it is refused', async () => {
    const account = await app.register();
    expect((await loginWith(`Bearer ${account.access_token}`, account, 'not the one')).status).toBe(401);
    const nothingHeld = { email: account.email, password, scope: 'users:write' };
    expect((await app.post('/login', nothingHeld, account.access_token)).status).toBe(400);
    expect(await lives(account)).toBe(true);
  });

  test.each([
    ['no token at all', () => 'Bearer'],
    ['garbage', () => 'Bearer garbage'],
    ['another scheme', ({ access_token: token }: Account) => `Basic ${token}`],
    ['a token with a broken signature', ({ access_token: token }: Account) => `Bearer ${token.slice(0, -9)}AAAAAAAAA`],
    ['a token without a signature', ({ access_token: token }: Account) => `Bearer ${token.replace(/[^.]+$/, '')}`],
    ['a refresh token', ({ refresh_token: token }: Account) => `Bearer ${token}`],
  ])('that presents %s, and succeeds', async (_what, authorization) => {
    const account = await app.register();
    expect((await loginWith(authorization(account), account)).status).toBe(200);
    expect(await lives(account)).toBe(true);
    expect((await app.refresh(account.refresh_token)).status).toBe(200);
  });

  test('that presents a token which may not end sessions, and succeeds', async () => {
    const victim = await app.register();
    const narrow = await app.post('/login', { email: victim.email, password, scope: 'profile' });
    const attacker = await app.register();
    expect((await loginWith(`Bearer ${narrow.body.access_token}`, attacker)).status).toBe(200);
    expect((await app.refresh(narrow.body.refresh_token)).status).toBe(200);
  });

  test('that presents an expired token, and succeeds', async () => {
    const account = await app.register();
    app.clock.step(901);
    expect(await lives(account)).toBe(false);
    expect((await loginWith(`Bearer ${account.access_token}`, account)).status).toBe(200);
    const refreshed = await app.refresh(account.refresh_token);
    expect(refreshed.status).toBe(200);
    expect(await lives(refreshed.body)).toBe(true);
  });

  test('for a token that stands in the URL or in the body', async () => {
    const account = await app.register();
    const body = { email: account.email, password };
    const token = account.access_token;
    expect((await app.post(`/login?access_token=${token}`, body)).status).toBe(200);
    expect((await app.post('/login', { ...body, access_token: token })).status).toBe(400);
    expect(await lives(account)).toBe(true);
  });
});
