import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
import { type Admin, adminScopes } from '../support/builders.ts';
import { adminEventsOf } from './admin-events.ts';

jest.setTimeout(30_000);

const unknownId = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';

let app: TestApp;
let admin: Admin;
beforeAll(async () => {
  app = await startApp({ LOCKOUT_ATTEMPTS: '3' });
  admin = await app.admin();
});
afterAll(() => app.close());

const patch = (id: string, body: object, token = admin.token) =>
  app.call('patch', `/admin/users/${id}`, { body, token });
const act = (id: string, action: string, token = admin.token) =>
  app.post(`/admin/users/${id}/${action}`, undefined, token);

test('an administrator reads an account as /me returns it, and whether it is active', async () => {
  const ada = await app.register();
  const { status, body, headers } = await app.get(`/admin/users/${ada.user.id}`, admin.token);
  expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
  expect(body).toEqual({ ...(await app.get('/me', ada.access_token)).body, is_active: true });
});

test.each<[title: string, call: (id: string) => Promise<{ status: number; body: { code: string } }>]>([
  ['get', (id) => app.get(`/admin/users/${id}`, admin.token)],
  ['patch', (id) => patch(id, { is_active: false })],
  ['delete', (id) => app.call('delete', `/admin/users/${id}`, { token: admin.token })],
  ['logout', (id) => act(id, 'logout')],
  ['unlock', (id) => act(id, 'unlock')],
  ['reset-password', (id) => act(id, 'reset-password')],
])('%s returns 404 for an unknown or malformed id', async (_title, call) => {
  for (const id of [unknownId, 'none', '%00', "' OR 1=1"])
    expect(await call(encodeURIComponent(id))).toMatchObject({ status: 404, body: { code: 'not_found' } });
});

describe('disabling an account', () => {
  test('revokes sessions and emailed links and prevents logins until it is enabled again', async () => {
    const ada = await app.register();
    await app.nextEmail(ada.email);
    await app.post('/forgot-password', { email: ada.email });
    const { token: resetToken } = await app.nextEmail(ada.email);
    expect((await patch(ada.user.id, { is_active: false })).body).toMatchObject({ is_active: false });
    expect((await app.get('/me', ada.access_token)).status).toBe(401);
    expect((await app.refresh(ada.refresh_token)).body).toMatchObject({ status: 401, reason: 'revoked' });
    expect((await app.login(ada.email)).body.code).toBe('invalid_credentials');
    expect((await act(ada.user.id, 'reset-password')).body).toMatchObject({ status: 409, code: 'conflict' });

    expect((await patch(ada.user.id, { is_active: true })).body).toMatchObject({ is_active: true });
    expect((await app.refresh(ada.refresh_token)).status).toBe(401);
    expect((await app.login(ada.email)).status).toBe(200);
    const body = { token: resetToken, new_password: 'a quieter mare and no battery' };
    expect((await app.post('/reset-password', body)).body.code).toBe('invalid_token');
    const events = (await adminEventsOf(app, ada)).map(({ type, actor_id: actor }) => [type, actor]);
    expect(events).toEqual([
      ['user.disabled', admin.user.id],
      ['user.enabled', admin.user.id],
    ]);
  });

  test('suspends its API keys until it is enabled again', async () => {
    const ada = await app.register();
    const token = await app.tokenOf(ada, 'api-keys profile');
    const { client_secret: key } = (await app.post('/api-keys', { name: 'k', scopes: ['profile'] }, token)).body;
    const status = async () => (await app.get('/me', undefined, { 'x-api-key': key })).status;
    const statuses = [await status()];
    for (const active of [false, true]) {
      await patch(ada.user.id, { is_active: active });
      statuses.push(await status());
    }
    expect(statuses).toEqual([200, 401, 200]);
  });
});

test('changing the name and the verification of an account records one event', async () => {
  const ada = await app.register();
  const changed = await patch(ada.user.id, { display_name: ' Ada King ', email_verified: true });
  expect(changed.body).toMatchObject({ display_name: 'Ada King', email_verified: true, is_active: true });
  expect((await app.get('/me', ada.access_token)).body).toMatchObject({ display_name: 'Ada King' });
  expect((await adminEventsOf(app, ada)).map(({ type }) => type)).toEqual(['user.updated']);
});

test.each<[title: string, body: unknown, path: string]>([
  ['no member', {}, 'body'],
  ['an address', { email: 'eve@example.com' }, 'email'],
  ['a password', { password: 'a quieter mare and no battery' }, 'password'],
  ['a hash', { password_hash: '$argon2id$' }, 'password_hash'],
  ['scopes', { scopes: ['users:write'] }, 'scopes'],
  ['an id', { id: unknownId }, 'id'],
  ['text instead of true', { is_active: 'false' }, 'is_active'],
  ['null', { display_name: null }, 'display_name'],
  ['an unknown role', { roles: ['user', 'emperor'] }, 'roles'],
  ['an invalid role name', { roles: ['Robert"); DROP TABLE users'] }, 'roles.0'],
  ['text instead of roles', { roles: 'admin' }, 'roles'],
])('a change with %s returns 400 and changes nothing', async (_title, body, path) => {
  const ada = await app.register();
  const before = (await app.get(`/admin/users/${ada.user.id}`, admin.token)).body;
  const response = await patch(ada.user.id, body as object);
  expect(response.body).toMatchObject({ status: 400, code: 'validation_failed' });
  expect(response.body.errors[0].path).toContain(path);
  expect((await app.get(`/admin/users/${ada.user.id}`, admin.token)).body).toEqual(before);
  expect(await adminEventsOf(app, ada)).toEqual([]);
});

test('a deleted account leaves only ids in the audit trail', async () => {
  const ada = await app.register();
  const { status } = await app.call('delete', `/admin/users/${ada.user.id}`, { token: admin.token });
  expect(status).toBe(204);
  expect((await app.get('/me', ada.access_token)).status).toBe(401);
  expect((await app.login(ada.email)).status).toBe(401);
  expect((await app.get(`/admin/users/${ada.user.id}`, admin.token)).status).toBe(404);
  expect(await adminEventsOf(app, ada)).toEqual([{ type: 'user.deleted', actor_id: admin.user.id, role: null }]);
  expect(await app.db.count('audit_personal_data', { user_id: ada.user.id })).toBe(0);
});

test('logging an account out revokes all its sessions and no others', async () => {
  const ada = await app.register();
  const other = (await app.login(ada.email)).body as Account;
  expect((await act(ada.user.id, 'logout')).status).toBe(204);
  for (const { refresh_token: token, access_token: access } of [ada, other]) {
    expect((await app.refresh(token)).body).toMatchObject({ status: 401, reason: 'revoked' });
    expect((await app.get('/me', access)).status).toBe(401);
  }
  expect((await app.login(ada.email)).status).toBe(200);
  expect((await app.get('/me', admin.access_token)).status).toBe(200);
  expect((await adminEventsOf(app, ada)).map(({ type }) => type)).toEqual(['user.logged_out']);
});

test('unlocking an account ends its lockout', async () => {
  const ada = await app.register();
  for (let tries = 0; tries < 3; tries += 1) await app.login(ada.email, 'not the one');
  expect((await app.login(ada.email)).status).toBe(423);
  expect((await act(ada.user.id, 'unlock')).status).toBe(204);
  expect((await app.login(ada.email)).status).toBe(200);
  expect((await adminEventsOf(app, ada)).map(({ type }) => type)).toEqual(['user.unlocked']);
});

describe('a password reset by an administrator', () => {
  test('emails the link to the account and does not return it', async () => {
    const ada = await app.register();
    await app.nextEmail(ada.email);
    const response = await act(ada.user.id, 'reset-password');
    expect([response.status, Object.keys(response.body)]).toEqual([202, ['message']]);
    const { token } = await app.nextEmail(ada.email);
    expect(token).toMatch(/^kto_/);
    expect(response.text).not.toContain(token);
    expect((await app.login(ada.email)).status).toBe(200);
    const body = { token, new_password: 'a quieter mare and no battery' };
    expect((await app.post('/reset-password', body)).status).toBe(204);
    expect((await app.login(ada.email)).status).toBe(401);
    expect((await adminEventsOf(app, ada)).map(({ type }) => type)).toEqual(['user.reset_mailed']);
  });

  test('is limited to ten emails an hour', async () => {
    const ada = await app.register();
    const statuses: number[] = [];
    for (let requests = 0; requests < 11; requests += 1) {
      statuses.push((await act(ada.user.id, 'reset-password')).status);
      await app.emails();
    }
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 202), 429]);
  });
});

test('no administrative response contains a password hash', async () => {
  const ada = await app.register();
  const responses = [
    await app.get('/admin/users?limit=100', admin.token),
    await app.get(`/admin/users?query=${ada.email}`, admin.token),
    await patch(ada.user.id, { display_name: 'Ada' }),
  ];
  expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(responses.map(({ text }) => text).join('')).not.toMatch(/\$argon2|password|hash/);
});

test('an API key can administer within its scopes', async () => {
  const token = await app.tokenOf(admin, `api-keys ${adminScopes}`);
  const created = await app.post('/api-keys', { name: 'k', scopes: ['users:read', 'users:write'] }, token);
  expect(created.status).toBe(201);
  const headers = { 'x-api-key': created.body.client_secret as string };
  const ada = await app.register();
  expect((await app.get('/admin/users', undefined, headers)).status).toBe(200);
  expect((await app.get('/admin/roles', undefined, headers)).status).toBe(403);
  const change = (id: string, body: object) => app.call('patch', `/admin/users/${id}`, { body, headers });
  expect((await change(ada.user.id, { display_name: 'Ada' })).status).toBe(200);
  expect((await change(ada.user.id, { roles: ['user', 'admin'] })).status).toBe(403);
  expect((await change(admin.user.id, { display_name: 'Grace' })).status).toBe(403);
  expect((await app.post('/login', { email: ada.email, password })).status).toBe(200);
});
