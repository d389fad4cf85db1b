import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const logout = (token: unknown) => app.post('/logout', { refresh_token: token });
const loginOf = async ({ email }: Account) => (await app.login(email)).body as Account;
const statusOf = async ({ access_token: token }: Pick<Account, 'access_token'>) => (await app.get('/me', token)).status;

const eventsOf = async (type: string, sessionId: string) =>
  (await app.db.audit.events({ type, session_id: sessionId })).map(({ outcome, actor_id, user_id }) => ({
    outcome,
    actor_id,
    user_id,
  }));

describe('POST /logout', () => {
  test('revokes the session of a current token and no other session', async () => {
    const account = await app.register();
    const other = await loginOf(account);
    const response = await logout(account.refresh_token);
    expect(response.status).toBe(204);
    expect(response.text).toBe('');
    expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });

    expect(await statusOf(account)).toBe(401);
    expect((await app.refresh(account.refresh_token)).body).toMatchObject({ status: 401, reason: 'revoked' });
    expect(await statusOf(other)).toBe(200);
    expect((await app.refresh(other.refresh_token)).status).toBe(200);
  });

  test('revokes the session of a spent token', async () => {
    const account = await app.register();
    const second = (await app.refresh(account.refresh_token)).body;
    const third = (await app.refresh(second.refresh_token)).body;
    expect((await logout(account.refresh_token)).status).toBe(204);
    expect(await statusOf(third)).toBe(401);
    for (const { refresh_token: token } of [account, second, third])
      expect((await app.refresh(token)).body).toMatchObject({ status: 401, reason: 'revoked' });
  });

  test('needs no access token and ignores an invalid one', async () => {
    const account = await app.register();
    const body = { refresh_token: account.refresh_token };
    expect((await app.post('/logout', body, 'nonsense')).status).toBe(204);
    expect(await statusOf(account)).toBe(401);
  });

  test('returns 204 to fifty concurrent requests and is audited once', async () => {
    const account = await app.register();
    const responses = await Promise.all(Array.from({ length: 50 }, () => logout(account.refresh_token)));
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 204));
    const { id } = account.user;
    expect(await eventsOf('logout', account.session_id)).toEqual([{ outcome: 'success', actor_id: id, user_id: id }]);
  });

  test('returns 204 for a token of an expired or deleted session and of a disabled user', async () => {
    const [expired, gone, disabled] = [await app.register(), await app.register(), await app.disabledUser()];
    await app.db.sessions.expire(expired);
    await app.db.sessions.remove(gone);
    for (const { refresh_token: token } of [expired, gone, disabled]) expect((await logout(token)).status).toBe(204);
  });

  test('returns 204 for an invalid token and revokes nothing', async () => {
    const account = await app.register();
    const token = account.refresh_token;
    const bytes = Buffer.from(token.slice(4), 'base64url');
    const forged = (at: number) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
      return `ktr_${copy.toString('base64url')}`;
    };
    const invalid = [
      '',
      'nonsense',
      token.slice(4),
      token.slice(0, -1),
      `${token}A`,
      ` ${token}`,
      account.access_token,
    ];
    for (const presented of [...invalid, account.session_id, ...[0, 19, 20, 51, 52, 67].map(forged)]) {
      const response = await logout(presented);
      expect([presented, response.status]).toEqual([presented, 204]);
    }
    expect(await statusOf(account)).toBe(200);
    expect(await eventsOf('logout', account.session_id)).toEqual([]);
    expect((await app.refresh(token)).status).toBe(200);
  });

  test.each([[{}], [{ refresh_token: 7 }], [{ refresh_token: null }], [{ refresh_token: 'x', all: true }], [[]]])(
    'returns 400 for the body %j',
    async (body) => {
      const response = await app.post('/logout', body);
      expect(response.status).toBe(400);
      expect(response.body.code).toBe('validation_failed');
    },
  );

  test('leaves no valid token when it races twenty refreshes', async () => {
    const account = await app.register();
    const [loggedOut, ...refreshed] = await Promise.all([
      logout(account.refresh_token),
      ...Array.from({ length: 20 }, () => app.refresh(account.refresh_token)),
    ]);
    expect(loggedOut?.status).toBe(204);
    expect(refreshed.filter(({ status }) => ![200, 401].includes(status))).toEqual([]);
    const succeeded = refreshed.filter(({ status }) => status === 200).map(({ body }) => body as Account);
    for (const { access_token, refresh_token } of succeeded) {
      expect(await statusOf({ access_token })).toBe(401);
      expect((await app.refresh(refresh_token)).status).toBe(401);
    }
    expect((await app.refresh(account.refresh_token)).status).toBe(401);
  });
});

describe('POST /logout/all', () => {
  const logoutAll = ({ access_token: token }: Pick<Account, 'access_token'>) =>
    app.post('/logout/all', undefined, token);

  test('revokes every session of the user, including the current one, and none of other users', async () => {
    const [account, stranger] = [await app.register(), await app.register()];
    const others = [await loginOf(account), await loginOf(account)];
    expect((await logoutAll(account)).status).toBe(204);
    for (const session of [account, ...others]) {
      expect(await statusOf(session)).toBe(401);
      expect((await app.refresh(session.refresh_token)).body).toMatchObject({ status: 401, reason: 'revoked' });
    }
    expect(await statusOf(stranger)).toBe(200);
    expect((await app.refresh(stranger.refresh_token)).status).toBe(200);
    expect((await app.login(account.email)).status).toBe(200);
    const { id } = account.user;
    expect(await eventsOf('logout.all', account.session_id)).toEqual([
      { outcome: 'success', actor_id: id, user_id: id },
    ]);
  });

  test('returns 401 when repeated with the same access token', async () => {
    const account = await app.register();
    expect((await logoutAll(account)).status).toBe(204);
    const after = await loginOf(account);
    const again = await logoutAll(account);
    expect(again.status).toBe(401);
    expect(again.body.code).toBe('invalid_access_token');
    expect(await statusOf(after)).toBe(200);
  });

  test('succeeds once when requested fifty times concurrently', async () => {
    const account = await app.register();
    const responses = await Promise.all(Array.from({ length: 50 }, () => logoutAll(account)));
    expect(responses.filter(({ status }) => status === 204)).toHaveLength(1);
    expect(responses.filter(({ status }) => status === 401)).toHaveLength(49);
    expect(await eventsOf('logout.all', account.session_id)).toHaveLength(1);
  });

  test('leaves no earlier token valid when it races twenty refreshes', async () => {
    const account = await app.register();
    const other = await loginOf(account);
    const [loggedOut, ...refreshed] = await Promise.all([
      logoutAll(account),
      ...Array.from({ length: 20 }, () => app.refresh(other.refresh_token)),
    ]);
    expect(loggedOut?.status).toBe(204);
    const succeeded = refreshed.filter(({ status }) => status === 200).map(({ body }) => body as Account);
    for (const { refresh_token: token } of [...succeeded, other]) expect((await app.refresh(token)).status).toBe(401);
  });
});
