import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { password, startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const deleteAccount = ({ access_token: token }: Pick<Account, 'access_token'>, current = password) =>
  app.post('/me/delete', { current_password: current }, token);

async function rowsOf(userId: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [table, column] of Object.entries({
    users: 'id',
    sessions: 'user_id',
    user_roles: 'user_id',
    audit_personal_data: 'user_id',
    audit_events: 'user_id',
  })) {
    counts[table] = await app.db.count(table, { [column]: userId });
  }
  return counts;
}

test('a deleted account leaves only ids in the audit trail', async () => {
  const account = await app.register({ display_name: 'Ada Erased' });
  const { id } = account.user;
  await app.login(account.email);
  await app.login(account.email, 'not the one');
  expect(await rowsOf(id)).toEqual({
    users: 1,
    sessions: 2,
    user_roles: 1,
    audit_personal_data: 3,
    audit_events: 3,
  });

  expect((await deleteAccount(account)).status).toBe(204);
  expect(await rowsOf(id)).toEqual({ users: 0, sessions: 0, user_roles: 0, audit_personal_data: 0, audit_events: 4 });
  const events = await app.db.audit.events({ user_id: id });
  expect(events.at(-1)).toMatchObject({ type: 'account.deleted', outcome: 'success', actor_id: id, user_id: id });
  expect(JSON.stringify(events)).not.toMatch(/@|Erased|127\.0\.0\.1/);
});

test('a wrong password is audited and deletes nothing', async () => {
  const account = await app.register();
  const response = await deleteAccount(account, 'not the one');
  expect(response.status).toBe(401);
  expect(response.body.code).toBe('invalid_credentials');
  expect((await app.get('/me', account.access_token)).status).toBe(200);
  const events = await app.db.audit.events({ user_id: account.user.id, type: 'password.checked' });
  expect(events).toMatchObject([{ outcome: 'failure', reason: 'wrong_password' }]);
});

test.each([[{}], [{ current_password: '' }], [{ current_password: password, user_id: 'x' }]])(
  'the body %j returns 400 and deletes nothing',
  async (body) => {
    const account = await app.register();
    expect((await app.post('/me/delete', body, account.access_token)).status).toBe(400);
    expect((await app.get('/me', account.access_token)).status).toBe(200);
  },
);

test('tokens of a deleted account are invalid', async () => {
  const account = await app.register();
  const other = (await app.login(account.email)).body;
  expect((await deleteAccount(account)).status).toBe(204);
  for (const { access_token: token, refresh_token: refreshToken } of [account, other]) {
    expect((await app.get('/me', token)).status).toBe(401);
    expect((await app.get('/sessions', token)).status).toBe(401);
    expect((await deleteAccount({ access_token: token })).status).toBe(401);
    expect((await app.refresh(refreshToken)).body).toMatchObject({ status: 401, reason: 'unknown_session' });
    expect((await app.post('/logout', { refresh_token: refreshToken })).status).toBe(204);
  }
  expect((await app.login(account.email)).status).toBe(401);
});

test('the address of a deleted account can be registered again as a new account', async () => {
  const account = await app.register({ display_name: 'The first' });
  await deleteAccount(account);
  const again = await app.post('/register', { email: account.email, password, display_name: 'The second' });
  expect(again.status).toBe(201);
  expect(again.body.user).toMatchObject({ display_name: 'The second', roles: ['user'] });
  expect(again.body.user.id).not.toBe(account.user.id);
  expect((await app.get('/me', account.access_token)).status).toBe(401);
  expect((await app.refresh(account.refresh_token)).status).toBe(401);
  expect((await app.get('/sessions', again.body.access_token)).body.sessions).toHaveLength(1);
});

test('a deletion does not affect other accounts', async () => {
  const [account, stranger] = [await app.register(), await app.register()];
  const before = await rowsOf(stranger.user.id);
  await deleteAccount(account);
  expect(await rowsOf(stranger.user.id)).toEqual(before);
});

test('of fifty concurrent deletions, one succeeds and the others return 401', async () => {
  const account = await app.register();
  const responses = await Promise.all(Array.from({ length: 50 }, () => deleteAccount(account)));
  expect(responses.filter(({ status }) => status === 204)).toHaveLength(1);
  expect(responses.filter(({ status }) => status === 401)).toHaveLength(49);
  expect(await app.db.count('audit_events', { user_id: account.user.id, type: 'account.deleted' })).toBe(1);
});

test('logins, refreshes and failed logins that are concurrent with a deletion leave no rows', async () => {
  const account = await app.register();
  const racing = () => [
    ...Array.from({ length: 6 }, () => app.login(account.email)),
    ...Array.from({ length: 6 }, () => app.login(account.email, 'not the one')),
    ...Array.from({ length: 6 }, () => app.refresh(account.refresh_token)),
  ];
  const early = racing();
  const erased = deleteAccount(account);
  const responses = await Promise.all([...early, ...racing()]);
  expect((await erased).status).toBe(204);
  expect(responses.filter(({ status }) => ![200, 401].includes(status))).toEqual([]);
  const { audit_events: events, ...left } = await rowsOf(account.user.id);
  expect(left).toEqual({ users: 0, sessions: 0, user_roles: 0, audit_personal_data: 0 });
  expect(events).toBeGreaterThan(1);
});
