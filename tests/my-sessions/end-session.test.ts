import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const revoke = (id: string, { access_token: token }: Pick<Account, 'access_token'>) =>
  app.call('delete', `/sessions/${id}`, { token });
const loginOf = async ({ email }: Account) => (await app.login(email)).body as Account;
const statusOf = async ({ access_token: token }: Account) => (await app.get('/me', token)).status;

test('revoking another own session invalidates its tokens, and a second request returns 404', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  const response = await revoke(other.session_id, account);
  expect(response.status).toBe(204);
  expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });

  expect(await statusOf(other)).toBe(401);
  expect((await app.refresh(other.refresh_token)).body).toMatchObject({ status: 401, reason: 'revoked' });
  expect(await statusOf(account)).toBe(200);
  expect((await revoke(other.session_id, account)).status).toBe(404);
});

test('revoking a session twice records one event', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  await revoke(other.session_id, account);
  await revoke(other.session_id, account);
  const events = await app.db.audit.events({ session_id: other.session_id, type: 'session.ended' });
  expect(events).toMatchObject([{ outcome: 'success', actor_id: account.user.id, user_id: account.user.id }]);
});

test('a session can revoke itself', async () => {
  const account = await app.register();
  expect((await revoke(account.session_id, account)).status).toBe(204);
  expect(await statusOf(account)).toBe(401);
  expect((await revoke(account.session_id, account)).status).toBe(401);
});

test('revoking someone else’s, a revoked and an unknown session returns the same 404', async () => {
  const [account, other] = [await app.register(), await app.register()];
  const revoked = await loginOf(account);
  await app.post('/logout', { refresh_token: revoked.refresh_token });
  const unknownId = other.session_id.replace(/.{12}$/, '0123456789ab');

  const responses = [];
  for (const id of [other.session_id, other.user.id, revoked.session_id, unknownId]) {
    const { status, body } = await revoke(id, account);
    responses.push({ status, ...body, instance: '…' });
  }
  expect(responses[0]).toMatchObject({ status: 404, code: 'not_found' });
  for (const response of responses) expect(response).toEqual(responses[0]);
  expect(await statusOf(other)).toBe(200);
  expect((await app.refresh(other.refresh_token)).status).toBe(200);
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
])('the malformed id %s returns 404', async (id) => {
  const account = await app.register();
  const response = await revoke(id, account);
  expect(response.status).toBe(404);
  expect(response.body.code).toBe('not_found');
});

test('ids are case-insensitive', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  expect((await revoke(other.session_id.toUpperCase(), account)).status).toBe(204);
  expect(await statusOf(other)).toBe(401);
});

test('fifty concurrent requests revoke a session once', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  const responses = await Promise.all(Array.from({ length: 50 }, () => revoke(other.session_id, account)));
  expect(responses.filter(({ status }) => status === 204)).toHaveLength(1);
  expect(responses.filter(({ status }) => status === 404)).toHaveLength(49);
});

test('a refresh that races the revocation of its session leaves no valid token', async () => {
  const account = await app.register();
  const other = await loginOf(account);
  const [revocation, ...refreshed] = await Promise.all([
    revoke(other.session_id, account),
    ...Array.from({ length: 20 }, () => app.refresh(other.refresh_token)),
  ]);
  expect(revocation?.status).toBe(204);
  for (const { status, body } of refreshed) {
    expect([200, 401]).toContain(status);
    const token: string = body.refresh_token ?? other.refresh_token;
    expect((await app.refresh(token)).body).toMatchObject({ status: 401, reason: 'revoked' });
  }
});

test('of two sessions that revoke each other concurrently, only one succeeds', async () => {
  for (let round = 0; round < 5; round += 1) {
    const one = await app.register();
    const two = await loginOf(one);
    const responses = await Promise.all([revoke(two.session_id, one), revoke(one.session_id, two)]);
    // A revoked session cannot revoke another.
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([204, 401]));
  }
});
