// Every endpoint under /admin with every kind of principal.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Response } from 'supertest';
import { operations } from '../http/operations.ts';
import { startApp, type TestApp } from '../harness.ts';
import { type Admin, adminScopes } from '../support/builders.ts';

jest.setTimeout(30_000);

type Call = (token: string | undefined, headers?: Record<string, string>) => Promise<Response>;

let app: TestApp;
let admin: Admin;
beforeAll(async () => {
  app = await startApp({}, { runsSigningKeyWorker: true });
  admin = await app.admin();
});
afterAll(() => app.close());

let roles = 0;
const freshRole = async () => {
  const name = `role-${(roles += 1)}`;
  await app.db.roles.define(name, ['articles:write']);
  return name;
};
const freshUserId = async () => (await app.register()).user.id;

/** `prepare` creates the resources, so that the call succeeds with a token of the scope. */
const endpoints: [operation: string, scope: string, prepare: () => Promise<Call>][] = [
  ['listUsers', 'users:read', async () => (token) => app.get('/admin/users', token)],
  [
    'getUser',
    'users:read',
    async () => {
      const id = await freshUserId();
      return (token) => app.get(`/admin/users/${id}`, token);
    },
  ],
  [
    'updateUser',
    'users:write',
    async () => {
      const id = await freshUserId();
      return (token) => app.call('patch', `/admin/users/${id}`, { body: { display_name: 'Ada' }, token });
    },
  ],
  [
    'deleteUser',
    'users:write',
    async () => {
      const id = await freshUserId();
      return (token) => app.call('delete', `/admin/users/${id}`, { token });
    },
  ],
  ...(['logout', 'unlock', 'reset-password'] as const).map((action): [string, string, () => Promise<Call>] => [
    { logout: 'logoutUser', unlock: 'unlockUser', 'reset-password': 'mailPasswordReset' }[action],
    'users:write',
    async () => {
      const id = await freshUserId();
      return (token) => app.post(`/admin/users/${id}/${action}`, undefined, token);
    },
  ]),
  [
    'listUserApiKeys',
    'users:read',
    async () => {
      const id = await freshUserId();
      return (token) => app.get(`/admin/users/${id}/api-keys`, token);
    },
  ],
  [
    'revokeUserApiKey',
    'users:write',
    async () => {
      const id = await freshUserId();
      const key = await app.db.apiKeys.insert(id);
      return (token) => app.call('delete', `/admin/users/${id}/api-keys/${key}`, { token });
    },
  ],
  ['listRoles', 'roles:write', async () => (token) => app.get('/admin/roles', token)],
  [
    'createRole',
    'roles:write',
    async () => {
      const name = `created-${(roles += 1)}`;
      return (token) => app.post('/admin/roles', { name, scopes: ['articles:write'] }, token);
    },
  ],
  [
    'updateRole',
    'roles:write',
    async () => {
      const name = await freshRole();
      return (token) => app.call('patch', `/admin/roles/${name}`, { body: { scopes: [] }, token });
    },
  ],
  [
    'deleteRole',
    'roles:write',
    async () => {
      const name = await freshRole();
      return (token) => app.call('delete', `/admin/roles/${name}`, { token });
    },
  ],
  ['listSigningKeys', 'keys:write', async () => (token) => app.get('/admin/keys', token)],
  ['rotateSigningKeys', 'keys:write', async () => (token) => app.post('/admin/keys/rotate', undefined, token)],
  [
    'revokeSigningKey',
    'keys:write',
    async () => {
      const { rows } = await app.sql.query(
        `INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id, retired_at)
         SELECT left(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '_'), 43), alg, 'retired', public_jwk,
                sealed_key, master_key_id, now() FROM signing_keys WHERE status = 'active' RETURNING kid`,
      );
      return (token) => app.post(`/admin/keys/${rows[0].kid}/revoke`, undefined, token);
    },
  ],
];

test('the table has every endpoint under /admin except the audit trail', () => {
  const ids = operations.filter(({ template }) => template.startsWith('/admin/')).map(({ id }) => id);
  expect(ids.filter((id) => !/audit/i.test(id)).sort()).toEqual(endpoints.map(([id]) => id).sort());
});

describe.each(endpoints)('%s', (_operation, scope, prepare) => {
  const others = adminScopes
    .split(' ')
    .filter((other) => other !== scope)
    .join(' ');

  test('succeeds with its scope and is not cacheable', async () => {
    const response = await (await prepare())(admin.token);
    expect(response.status).toBeLessThan(300);
    expect(response.headers['cache-control']).toBe('no-store');
  });

  test('returns 401 without a token', async () => {
    expect((await (await prepare())(undefined)).status).toBe(401);
  });

  test('returns 403 to an administrator whose token lacks its scope', async () => {
    const call = await prepare();
    for (const token of [admin.access_token, await app.tokenOf(admin, `profile ${others}`)]) {
      const response = await call(token);
      expect(response.body).toMatchObject({ status: 403, code: 'insufficient_scope' });
      expect(response.headers['www-authenticate']).toContain(`scope="${scope}"`);
    }
    expect((await call(admin.token)).status).toBeLessThan(300);
  });

  test('returns 403 immediately after a demotion and 401 after the session was revoked', async () => {
    const call = await prepare();
    const demoted = await app.admin();
    await app.db.roles.take(demoted, 'admin');
    expect((await call(demoted.token)).body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    await app.db.roles.grant(demoted, 'admin');
    await app.post('/logout/all', undefined, demoted.access_token);
    expect((await call(demoted.token)).body).toMatchObject({ status: 401, code: 'invalid_access_token' });
    expect((await call(admin.token)).status).toBeLessThan(300);
  });
});
