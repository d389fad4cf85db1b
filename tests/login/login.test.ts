import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { freshEmail, password, startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

const uuid7 = expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);

let app: TestApp;
let account: Account;
beforeAll(async () => {
  app = await startApp();
  account = await app.register();
});
afterAll(() => app.close());

const login = (members: Record<string, unknown> = {}) =>
  app.post('/login', { email: account.email, password, ...members });

test('a login returns valid tokens of a new session and nothing else', async () => {
  const response = await login();
  expect(response.status).toBe(200);
  expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });
  expect(response.headers['set-cookie']).toBeUndefined();
  expect(response.body).toEqual({
    access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    token_type: 'Bearer',
    expires_in: 900,
    refresh_token: expect.stringMatching(/^ktr_[\w-]{91}$/),
    refresh_expires_in: expect.any(Number),
    scope: 'profile sessions',
    session_id: uuid7,
  });
  expect(response.body.session_id).not.toBe(account.session_id);
  expect((await app.get('/me', response.body.access_token)).body.id).toBe(account.user.id);
  expect((await app.refresh(response.body.refresh_token)).status).toBe(200);
  expect((await app.get('/me', account.access_token)).status).toBe(200);
});

test('a login is audited with its session', async () => {
  const { session_id: sessionId } = (await login()).body;
  const { id } = account.user;
  expect(await app.db.audit.events({ session_id: sessionId })).toMatchObject([
    { type: 'login', outcome: 'success', reason: null, actor_id: id, user_id: id },
  ]);
});

test('fifty concurrent logins create fifty sessions', async () => {
  const responses = await Promise.all(Array.from({ length: 50 }, () => login()));
  expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(responses.map(({ body }) => body.session_id)).size).toBe(50);
  expect(new Set(responses.map(({ body }) => body.refresh_token)).size).toBe(50);
  expect(new Set(responses.map(({ body }) => decodeJwt(body.access_token).jti)).size).toBe(50);
});

test('a login revokes the oldest session of a user with 100 live sessions', async () => {
  const { user, access_token: token, email } = await app.register();
  await app.db.sessions.insert(user.id, 99, 'Test', { expiresIn: 60, absolutelyExpiresIn: 60 });
  expect((await app.get('/me', token)).status).toBe(200);
  expect((await app.login(email)).status).toBe(200);
  expect((await app.get('/me', token)).status).toBe(401);
  const reasons = (await app.db.sessions.of(user.id)).map(({ revokedReason }) => revokedReason);
  expect(reasons).toEqual(['too_many_sessions', ...Array(100).fill(null)]);
});

test('the only transports are body and cookie', async () => {
  expect((await login({ transport: 'body' })).status).toBe(200);
  for (const transport of ['header', 'BODY', '', null, 1]) {
    const response = await login({ transport });
    expect([transport, response.status]).toEqual([transport, 400]);
    expect(response.body.errors).toEqual([{ path: 'transport', message: expect.any(String) }]);
  }
});

test('all errors of a body are listed together', async () => {
  const paths = async (body: unknown) => {
    const response = await app.post('/login', body);
    expect(response.status).toBe(400);
    return (response.body.errors as { path: string }[]).map(({ path }) => path).sort();
  };
  expect(await paths({})).toEqual(['email', 'password']);
  expect(await paths({ email: 'ada', password: '', scope: 'a  b', transport: 'x', remember: true })).toEqual([
    'email',
    'password',
    'remember',
    'scope',
    'transport',
  ]);
  expect(await paths([])).toEqual(['body']);
  expect(await paths({ email: { $gt: '' }, password: { $gt: '' } })).toEqual(['email', 'password']);
});

test('longer and shorter passwords do not match a password of 128 code points', async () => {
  const email = freshEmail();
  const longest = 'zq7'.repeat(43).slice(0, 128);
  expect((await app.post('/register', { email, password: longest, display_name: 'Ada' })).status).toBe(201);
  for (const other of [longest.slice(0, -1), `${longest}z`, longest.repeat(8)])
    expect((await app.login(email, other)).status).toBe(401);
  expect((await app.login(email, longest)).status).toBe(200);
  expect((await app.login(email, 'z'.repeat(1025))).status).toBe(400);
});

test('credentials in the query or in HTTP Basic are not accepted', async () => {
  const { email } = account;
  const query = `/login?email=${encodeURIComponent(email)}&password=${encodeURIComponent(password)}`;
  expect((await app.post(query, {})).status).toBe(400);
  expect((await app.post(query, { email, password })).status).toBe(400);
  const basic = `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
  expect((await app.call('post', '/login', { body: {}, headers: { authorization: basic } })).status).toBe(400);
});
