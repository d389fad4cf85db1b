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

const isLive = async ({ access_token: token }: Pick<Account, 'access_token'>) =>
  (await app.get('/me', token)).status === 200;

describe('a login that presents a valid access token revokes its session', () => {
  test('and no other session of the same user', async () => {
    const account = await app.register();
    const other = (await app.login(account.email)).body;
    const fresh = await loginWith(`Bearer ${account.access_token}`, account);

    expect(fresh.status).toBe(200);
    expect(await isLive(account)).toBe(false);
    expect((await app.refresh(account.refresh_token)).body).toMatchObject({ status: 401, reason: 'revoked' });
    expect([await isLive(other), await isLive(fresh.body)]).toEqual([true, true]);
    expect((await app.db.sessions.get(account)).revokedReason).toBe('replaced_by_login');
  });

  test('even if it belongs to another user', async () => {
    const [first, second] = [await app.register(), await app.register()];
    const fresh = await loginWith(`bearer  ${first.access_token}`, second);
    expect(fresh.status).toBe(200);
    expect([await isLive(first), await isLive(second), await isLive(fresh.body)]).toEqual([false, true, true]);
  });

  test('also if fifty concurrent logins present it, which all succeed', async () => {
    const account = await app.register();
    const responses = await Promise.all(
      Array.from({ length: 50 }, () => loginWith(`Bearer ${account.access_token}`, account)),
    );
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200));
    expect(await isLive(account)).toBe(false);
    expect(await app.db.count('sessions', { user_id: account.user.id, revoked_at: null })).toBe(50);
  });

  test('and two users who concurrently present each other’s tokens both succeed', async () => {
    for (let round = 0; round < 5; round += 1) {
      const [one, two] = [await app.register(), await app.register()];
      const responses = await Promise.all([
        loginWith(`Bearer ${one.access_token}`, two),
        loginWith(`Bearer ${two.access_token}`, one),
      ]);
      expect(responses.map(({ status }) => status)).toEqual([200, 200]);
      expect([await isLive(one), await isLive(two)]).toEqual([false, false]);
    }
  });
});

describe('a login revokes no session', () => {
  test('if it is refused', async () => {
    const account = await app.register();
    expect((await loginWith(`Bearer ${account.access_token}`, account, 'not the one')).status).toBe(401);
    const unheldScope = { email: account.email, password, scope: 'users:write' };
    expect((await app.post('/login', unheldScope, account.access_token)).status).toBe(400);
    expect(await isLive(account)).toBe(true);
  });

  test.each([
    ['no token', () => 'Bearer'],
    ['garbage', () => 'Bearer garbage'],
    ['another scheme', ({ access_token: token }: Account) => `Basic ${token}`],
    ['a token with a broken signature', ({ access_token: token }: Account) => `Bearer ${token.slice(0, -9)}AAAAAAAAA`],
    ['a token without a signature', ({ access_token: token }: Account) => `Bearer ${token.replace(/[^.]+$/, '')}`],
    ['a refresh token', ({ refresh_token: token }: Account) => `Bearer ${token}`],
  ])('if it presents %s, and succeeds', async (_what, authorization) => {
    const account = await app.register();
    expect((await loginWith(authorization(account), account)).status).toBe(200);
    expect(await isLive(account)).toBe(true);
    expect((await app.refresh(account.refresh_token)).status).toBe(200);
  });

  test('if it presents a token without the scope sessions, and succeeds', async () => {
    const victim = await app.register();
    const narrow = await app.post('/login', { email: victim.email, password, scope: 'profile' });
    const attacker = await app.register();
    expect((await loginWith(`Bearer ${narrow.body.access_token}`, attacker)).status).toBe(200);
    expect((await app.refresh(narrow.body.refresh_token)).status).toBe(200);
  });

  test('if it presents an expired token, and succeeds', async () => {
    const account = await app.register();
    app.clock.step(901);
    expect(await isLive(account)).toBe(false);
    expect((await loginWith(`Bearer ${account.access_token}`, account)).status).toBe(200);
    const refreshed = await app.refresh(account.refresh_token);
    expect(refreshed.status).toBe(200);
    expect(await isLive(refreshed.body)).toBe(true);
  });

  test('for a token in the URL or in the body', async () => {
    const account = await app.register();
    const body = { email: account.email, password };
    const token = account.access_token;
    expect((await app.post(`/login?access_token=${token}`, body)).status).toBe(400);
    expect((await app.post('/login', { ...body, access_token: token })).status).toBe(400);
    expect(await isLive(account)).toBe(true);
  });
});
