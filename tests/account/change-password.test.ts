import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { password, startApp, type Account, type TestApp } from '../harness.ts';
import { openRows } from '../support/rows/index.ts';
import { until } from '../support/until.ts';

jest.setTimeout(30_000);

const next = 'a quieter mare and no battery';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const change = ({ access_token: token }: Pick<Account, 'access_token'>, current = password, wanted: unknown = next) =>
  app.post('/me/password', { current_password: current, new_password: wanted }, token);

const statusOf = async ({ access_token: token }: Pick<Account, 'access_token'>) => (await app.get('/me', token)).status;

const passwordEvents = async ({ user }: Account) =>
  (await app.db.audit.events({ user_id: user.id, type: 'password.' })).map(
    ({ type, outcome, reason, session_id: session }) => ({ type, outcome, reason, session_id: session }),
  );

test('a password change revokes the other sessions of the user and no others', async () => {
  const [account, stranger] = [await app.register(), await app.register()];
  const others = [(await app.login(account.email)).body, (await app.login(account.email)).body];
  const response = await change(account);
  expect(response.status).toBe(204);
  expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });

  expect(await statusOf(account)).toBe(200);
  expect((await app.refresh(account.refresh_token)).status).toBe(200);
  for (const other of others) {
    expect(await statusOf(other)).toBe(401);
    expect((await app.refresh(other.refresh_token)).body).toMatchObject({ status: 401, reason: 'revoked' });
  }
  expect(await statusOf(stranger)).toBe(200);
  expect((await app.login(stranger.email)).status).toBe(200);
});

test('after a change, only the new password works', async () => {
  const account = await app.register();
  await change(account);
  expect((await app.login(account.email)).status).toBe(401);
  expect((await app.login(account.email, next)).status).toBe(200);
  expect((await change(account, password, 'some other new password')).status).toBe(401);
  expect(await passwordEvents(account)).toEqual([
    { type: 'password.changed', outcome: 'success', reason: null, session_id: account.session_id },
    { type: 'password.checked', outcome: 'failure', reason: 'wrong_password', session_id: account.session_id },
  ]);
});

test('a wrong current password is audited and changes nothing', async () => {
  const account = await app.register();
  const other = (await app.login(account.email)).body;
  const response = await change(account, 'not the one');
  expect(response.status).toBe(401);
  expect(response.body.code).toBe('invalid_credentials');
  // The access token is valid, so the client must not request another one.
  expect(response.headers['www-authenticate']).toBeUndefined();
  expect([await statusOf(account), await statusOf(other)]).toEqual([200, 200]);
  expect((await app.login(account.email)).status).toBe(200);
  expect(await passwordEvents(account)).toEqual([
    { type: 'password.checked', outcome: 'failure', reason: 'wrong_password', session_id: account.session_id },
  ]);
});

test.each([
  ['too short', 'vexing7', 'too short'],
  ['too long', 'zq7'.repeat(43), 'too long'],
  ['common', 'password1', 'commonly used'],
  ['the name', 'Ada Lovelace', 'your name'],
])('rejects a new password that is %s', async (_problem, wanted, reason) => {
  const account = await app.register();
  const response = await change(account, password, wanted);
  expect(response.status).toBe(400);
  expect(response.body.errors).toEqual([{ path: 'new_password', message: expect.stringContaining(reason) }]);
  expect((await app.login(account.email)).status).toBe(200);
});

test('rejects the email address as the new password', async () => {
  const account = await app.register();
  const response = await change(account, password, account.email.toUpperCase());
  expect(response.body.errors).toEqual([
    { path: 'new_password', message: expect.stringContaining('your email address') },
  ]);
});

test('a wrong current password hides whether the new one is acceptable', async () => {
  const account = await app.register();
  expect((await change(account, 'not the one', 'adalovelace1')).status).toBe(401);
});

test('the response to an invalid body lists every error', async () => {
  const { access_token: token } = await app.register();
  const response = await app.post('/me/password', { current_password: '', new_password: 7, user_id: 'x' }, token);
  expect(response.status).toBe(400);
  const paths = (response.body.errors as { path: string }[]).map(({ path }) => path).sort();
  expect(paths).toEqual(['current_password', 'new_password', 'user_id']);
});

test('of two concurrent changes, exactly one succeeds', async () => {
  for (let round = 0; round < 4; round += 1) {
    const account = await app.register();
    const wanted = ['first of two new passwords', 'second of two new passwords'];
    const responses = await Promise.all(wanted.map((one) => change(account, password, one)));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([204, 401]));
    const logins = await Promise.all(wanted.map((one) => app.login(account.email, one)));
    expect(logins.map(({ status }) => status)).toEqual(responses.map(({ status }) => (status === 204 ? 200 : 401)));
  }
});

test('of fifty concurrent changes from fifty sessions, one succeeds and only its session stays live', async () => {
  const account = await app.register();
  const logins = await Promise.all(Array.from({ length: 50 }, () => app.login(account.email)));
  const sessions = logins.map(({ body }) => body as Account);
  const responses = await Promise.all(sessions.map((session, n) => change(session, password, `${next} ${n}`)));

  const winners = responses.flatMap(({ status }, n) => (status === 204 ? [n] : []));
  expect(winners).toHaveLength(1);
  const alive = await Promise.all(sessions.map(statusOf));
  expect(alive.flatMap((status, n) => (status === 200 ? [n] : []))).toEqual(winners);
  expect((await app.login(account.email, `${next} ${winners[0]}`)).status).toBe(200);
});

test('logins with the old password that are concurrent with a change leave no live session', async () => {
  const account = await app.register();
  const early = Array.from({ length: 10 }, () => app.login(account.email));
  const changed = change(account);
  const late = Array.from({ length: 10 }, () => app.login(account.email));
  expect((await changed).status).toBe(204);
  const responses = await Promise.all([...early, ...late]);
  const opened = responses.filter(({ status }) => status === 200).map(({ body }) => body as Account);
  expect(responses.filter(({ status }) => ![200, 401].includes(status))).toEqual([]);
  expect(await Promise.all(opened.map(statusOf))).toEqual(opened.map(() => 401));
});

test('guesses of the new password in changes that lose against another one count for the lockout', async () => {
  const limited = await startApp({ LOCKOUT_ATTEMPTS: '3' });
  const owner = await limited.sql.connect();
  try {
    const [account, example] = [await limited.register(), await limited.register({ password: next })];
    const wanted = await limited.db.users.passwordHash(example);
    await owner.query('BEGIN');
    await openRows(owner).users.setPasswordHash(account, wanted);
    const guess = (n: number) =>
      limited.post(
        '/me/password',
        { current_password: password, new_password: `a guess of it, number ${n}` },
        account.access_token,
      );
    const guesses: ReturnType<typeof guess>[] = [];
    for (const n of [1, 2, 3]) {
      const response = guess(n);
      response.catch(() => {});
      guesses.push(response);
      await until(async () => (await limited.db.server.blockedStatements()) === n);
    }
    await owner.query('COMMIT');
    expect((await Promise.all(guesses)).map(({ status }) => status)).toEqual([401, 401, 401]);
    const failure = { type: 'password.checked', outcome: 'failure', reason: 'wrong_password' };
    expect(await limited.db.audit.events({ user_id: account.user.id, type: 'password.checked' })).toEqual(
      [1, 2, 3].map(() => expect.objectContaining(failure)),
    );
    expect((await limited.login(account.email, next)).status).toBe(423);
  } finally {
    owner.release();
    await limited.close();
  }
});

describe('a change that is repeated after a lost response', () => {
  test('returns 204, counts no failure, sends no second email and leaves the password and the session', async () => {
    const account = await app.register();
    expect((await change(account)).status).toBe(204);
    const emails = async () => (await app.emails(account.email)).length;
    const sent = await emails();
    expect((await change(account)).status).toBe(204);
    expect(await passwordEvents(account)).toEqual([
      { type: 'password.changed', outcome: 'success', reason: null, session_id: account.session_id },
      { type: 'password.changed', outcome: 'success', reason: 'repeated', session_id: account.session_id },
    ]);
    expect(await emails()).toBe(sent);
    expect(await statusOf(account)).toBe(200);
    expect((await app.refresh(account.refresh_token)).status).toBe(200);
    expect((await app.login(account.email, next)).status).toBe(200);
    expect((await app.login(account.email)).status).toBe(401);
  });

  test('returns 204 if the first request is still in progress', async () => {
    for (let round = 0; round < 4; round += 1) {
      const account = await app.register();
      const responses = await Promise.all([change(account), change(account)]);
      expect(responses.map(({ status }) => status)).toEqual([204, 204]);
      expect((await app.emails(account.email)).filter(({ subject }) => /changed/.test(subject))).toHaveLength(1);
      expect((await app.login(account.email, next)).status).toBe(200);
    }
  });

  test('revokes sessions and API keys that the first request would have revoked', async () => {
    const account = await app.register();
    const other = (await app.login(account.email)).body;
    const body = { current_password: 'not the one', new_password: password, revoke_api_keys: true };
    expect((await app.post('/me/password', body, account.access_token)).status).toBe(204);
    expect([await statusOf(account), await statusOf(other)]).toEqual([200, 401]);
  });
});
