import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

const utcTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

let app: TestApp;
let ada: Account;
let eve: Account;
beforeAll(async () => {
  app = await startApp();
  ada = await app.register();
  eve = await app.register({ display_name: 'Eve' });
});
afterAll(() => app.close());

const rename = (body: unknown, token = ada.access_token) => app.call('patch', '/me', { body, token });

test('GET /me returns every member of the own account', async () => {
  const response = await app.get('/me', ada.access_token);
  expect(response.status).toBe(200);
  expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });
  expect(response.body).toEqual({
    id: ada.user.id,
    email: ada.email,
    email_verified: false,
    display_name: 'Ada Lovelace',
    roles: ['user'],
    scopes: ['api-keys', 'profile', 'sessions'],
    mfa_enabled: false,
    created_at: utcTime,
    updated_at: utcTime,
  });
  expect((await app.get('/me', eve.access_token)).body).toMatchObject({ id: eve.user.id, display_name: 'Eve' });
});

test.each([-600, 600])('updated_at is the time of the database with the process %i s ahead', async (seconds) => {
  app.clock.step(seconds);
  const { body } = await rename({ display_name: 'Ada King' });
  app.clock.step(-seconds);
  expect(Math.abs(Date.parse(body.updated_at) - Date.now())).toBeLessThan(30_000);
});

test('created_at is the current time in UTC', async () => {
  const { created_at: created } = (await app.get('/me', (await app.register()).access_token)).body;
  expect(Math.abs(Date.parse(created) - Date.now())).toBeLessThan(30_000);
});

test('a new name is returned and stored, updates updated_at and affects no other account', async () => {
  const before = (await app.get('/me', ada.access_token)).body;
  const others = (await app.get('/me', eve.access_token)).body;
  const response = await rename({ display_name: '  Ada King ' });
  expect(response.status).toBe(200);
  expect(response.body).toEqual({ ...before, display_name: 'Ada King', updated_at: utcTime });
  expect(Date.parse(response.body.updated_at)).toBeGreaterThan(Date.parse(before.updated_at));
  expect((await app.get('/me', ada.access_token)).body).toEqual(response.body);
  expect((await app.get('/me', eve.access_token)).body).toEqual(others);
});

test.each([
  [{ display_name: 'Ada', id: 'other' }, 'id'],
  [{ display_name: 'Ada', email: 'eve@example.com' }, 'email'],
  [{ display_name: 'Ada', email_verified: true }, 'email_verified'],
  [{ display_name: 'Ada', roles: ['admin'] }, 'roles'],
  [{ display_name: 'Ada', is_active: false }, 'is_active'],
  [{}, 'display_name'],
  [{ display_name: '' }, 'display_name'],
  [[], 'body'],
  ['Ada', 'body'],
])('the body %j returns 400 and changes nothing', async (body, path) => {
  const before = (await app.get('/me', ada.access_token)).body;
  const response =
    typeof body === 'string'
      ? await app.call('patch', '/me', {
          body: JSON.stringify(body),
          token: ada.access_token,
          headers: { 'content-type': 'application/json' },
        })
      : await rename(body);
  expect(response.status).toBe(400);
  expect(response.body).toMatchObject({ code: 'validation_failed', errors: [{ path }] });
  expect((await app.get('/me', ada.access_token)).body).toEqual(before);
});

test('of fifty concurrent name changes, each returns its name and one is stored', async () => {
  const names = Array.from({ length: 50 }, (_, n) => `Ada ${n}`);
  const responses = await Promise.all(names.map((name) => rename({ display_name: name })));
  expect(responses.map(({ status }) => status)).toEqual(names.map(() => 200));
  expect(responses.map(({ body }) => body.display_name)).toEqual(names);
  expect(names).toContain((await app.get('/me', ada.access_token)).body.display_name);
});

test('a verified address appears in the profile and in the next access token', async () => {
  const account = await app.verifiedUser();
  expect((await app.get('/me', account.access_token)).body.email_verified).toBe(true);
  const { access_token: token } = (await app.refresh(account.refresh_token)).body;
  expect(JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())).toMatchObject({ email_verified: true });
});
