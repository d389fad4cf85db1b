import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const end = (id: string, { access_token: token }: Pick<Account, 'access_token'>) =>
  app.call('delete', `/sessions/${id}`, { token });
const loginOf = async ({ email }: Account) => (await app.login(email)).body as Account;
const statusOf = async ({ access_token: token }: Account) => (await app.get('/me', token)).status;

test('one ends another session of one’s own: its tokens are dead, and a second end finds nothing', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  const response = await end(other.session_id, account);
  expect(response.status).toBe(204);
  expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });

  expect(await statusOf(other)).toBe(401);
  expect((await app.refresh(other.refresh_token)).body).toMatchObject({ status: 401, reason: 'revoked' });
  expect(await statusOf(account)).toBe(200);
  expect((await end(other.session_id, account)).status).toBe(404);
});

test('an ended session stands in the audit trail, once', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  await end(other.session_id, account);
  await end(other.session_id, account);
  const { rows } = await app.sql.query(
    `SELECT outcome, actor_id, user_id FROM audit_events WHERE session_id = $1 AND type = 'session.ended'`,
    [other.session_id],
  );
  expect(rows).toEqual([{ outcome: 'success', actor_id: account.user.id, user_id: account.user.id }]);
});

test('one ends the very session that asks', async () => {
  const account = await app.register();
  expect((await end(account.session_id, account)).status).toBe(204);
  expect(await statusOf(account)).toBe(401);
  expect((await end(account.session_id, account)).status).toBe(401);
});

test('somebody else’s session, a dead one and none are one answer, and the stranger’s lives', async () => {
  const [account, stranger] = [await app.register(), await app.register()];
  const dead = await loginOf(account);
  await app.post('/logout', { refresh_token: dead.refresh_token });
  const absent = stranger.session_id.replace(/.{12}$/, '0123456789ab');

  const answers = [];
  for (const id of [stranger.session_id, stranger.user.id, dead.session_id, absent]) {
    const { status, body } = await end(id, account);
    answers.push({ status, ...body, instance: '…' });
  }
  expect(answers[0]).toMatchObject({ status: 404, code: 'not_found' });
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await statusOf(stranger)).toBe(200);
  expect((await app.refresh(stranger.refresh_token)).status).toBe(200);
});

test.each([
  'abc',
  '1',
  '0197a1b06f2f7c1d9a513a6c1f6e2b11',
  '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b1g',
  "'%20OR%201=1--",
  '%00',
  '..%2Fme',
  '{}',
])('the malformed id %s is a session that is not there', async (id) => {
  const account = await app.register();
  const response = await end(id, account);
  expect(response.status).toBe(404);
  expect(response.body.code).toBe('not_found');
});

test('an id in capitals is the same id', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  expect((await end(other.session_id.toUpperCase(), account)).status).toBe(204);
  expect(await statusOf(other)).toBe(401);
});

test('of fifty ends at once one is done', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  const answers = await Promise.all(Array.from({ length: 50 }, () => end(other.session_id, account)));
  expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 404)).toHaveLength(49);
});

test('a refresh that races the end of its session leaves nothing alive', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  const [ended, ...refreshed] = await Promise.all([
    end(other.session_id, account),
    ...Array.from({ length: 20 }, () => app.refresh(other.refresh_token)),
  ]);
  expect(ended?.status).toBe(204);
  for (const { status, body } of refreshed) {
    expect([200, 401]).toContain(status);
    const token: string = body.refresh_token ?? other.refresh_token;
    expect((await app.refresh(token)).body).toMatchObject({ status: 401, reason: 'revoked' });
  }
});

test('a session cannot be ended over another’s head: two sessions that end one another', async () => {
  for (let round = 0; round < 5; round += 1) {
    const one = await app.register();
    const two = await loginOf(one);
    const answers = await Promise.all([end(two.session_id, one), end(one.session_id, two)]);
    // Whoever was ended first could not act any more.
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204, 401]));
  }
});
