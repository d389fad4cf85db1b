// Granting roles, and the last active administrator.
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import pino from 'pino';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
import { type Admin, adminScopes } from '../support/builders.ts';
import { adminEventsOf } from './admin-events.ts';

jest.setTimeout(60_000);

let app: TestApp;
const warnings: string[] = [];
const log = pino({ level: 'warn' }, { write: (line) => void warnings.push(line) });
beforeAll(async () => void (app = await startApp({}, { log })));
afterAll(() => app.close());

const patch = ({ user: { id } }: Pick<Account, 'user'>, body: object, { token }: Pick<Admin, 'token'>) =>
  app.call('patch', `/admin/users/${id}`, { body, token });
const remove = ({ user: { id } }: Pick<Account, 'user'>, { token }: Pick<Admin, 'token'>) =>
  app.call('delete', `/admin/users/${id}`, { token });
const deleteOwnAccount = ({ access_token: token }: Account) =>
  app.post('/me/delete', { current_password: password }, token);
const countActiveAdmins = () => app.db.roles.activeHolders('admin');

describe('changing the roles of a user', () => {
  test('to a role without scopes adds none', async () => {
    const admin = await app.admin();
    await app.db.roles.define('guest', []);
    const ada = await app.register();
    expect((await patch(ada, { roles: ['user', 'guest'] }, admin)).body).toMatchObject({
      roles: ['guest', 'user'],
      scopes: ['api-keys', 'profile', 'sessions'],
    });
    expect((await app.login(ada.email)).body.scope).toBe('profile sessions');
    expect((await patch(ada, { roles: ['guest'] }, admin)).body).toMatchObject({ roles: ['guest'], scopes: [] });
  });

  test('shows in /me immediately and in tokens at the next refresh or login', async () => {
    const admin = await app.admin();
    await app.db.roles.define('editor', ['articles:write']);
    const ada = await app.register();
    const changed = await patch(ada, { roles: ['user', 'editor', 'editor'] }, admin);
    expect(changed.body).toMatchObject({ roles: ['editor', 'user'] });
    expect((await app.get('/me', ada.access_token)).body.scopes).toContain('articles:write');
    const refreshed = (await app.refresh(ada.refresh_token)).body as Account;
    expect(decodeJwt(refreshed.access_token)).toMatchObject({
      roles: ['editor', 'user'],
      scope: 'articles:write profile sessions',
    });
    await patch(ada, { roles: ['user'] }, admin);
    for (const { body } of [await app.refresh(refreshed.refresh_token), await app.login(ada.email)])
      expect(decodeJwt(body.access_token)).toMatchObject({ roles: ['user'], scope: 'profile sessions' });
    expect(await adminEventsOf(app, ada)).toEqual([
      { type: 'role.granted', actor_id: admin.user.id, role: 'editor' },
      { type: 'role.revoked', actor_id: admin.user.id, role: 'editor' },
    ]);
  });

  test('requires roles:write in the token besides users:write', async () => {
    const admin = await app.admin();
    const ada = await app.register();
    const token = await app.tokenOf(admin, 'users:read users:write');
    const refused = await patch(ada, { roles: ['user', 'admin'], display_name: 'Eve' }, { token });
    expect(refused.body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect(refused.headers['www-authenticate']).toContain('scope="roles:write"');
    expect(await app.db.roles.of(ada)).toEqual(['user']);
    expect((await app.get('/me', ada.access_token)).body.display_name).toBe('Ada Lovelace');
  });

  test('returns 403 to a demoted administrator who grants the role admin to themselves', async () => {
    const [admin, demoted] = [await app.admin(), await app.admin()];
    expect((await patch(demoted, { roles: ['user'] }, admin)).status).toBe(200);
    expect((await patch(demoted, { roles: ['user', 'admin'] }, demoted)).status).toBe(403);
    expect((await app.refresh(demoted.refresh_token)).body.scope).not.toContain('users');
    expect(await app.db.roles.of(demoted)).toEqual(['user']);
  });
});

describe('a user who holds roles:write and users:write', () => {
  let admin: Admin;
  let manager: Admin;
  beforeAll(async () => {
    await app.db.roles.define('manager', ['roles:write', 'users:read', 'users:write']);
    await app.db.roles.define('publisher', ['articles:publish']);
    admin = await app.admin();
    manager = await app.admin({ roles: ['manager'], scope: 'roles:write users:read users:write' });
  });

  test('cannot grant a role with scopes that they lack', async () => {
    const other = await app.register();
    for (const account of [manager, other])
      for (const roles of [['user', 'manager', 'admin'], ['admin'], ['user', 'manager', 'publisher']])
        expect((await patch(account, { roles }, manager)).body).toMatchObject({
          status: 403,
          code: 'insufficient_scope',
        });
    expect(await app.db.roles.of(manager)).toEqual(['manager', 'user']);
    expect(await app.db.roles.of(other)).toEqual(['user']);
    expect((await patch(other, { roles: ['user', 'manager'] }, manager)).status).toBe(200);
  });

  test('cannot put scopes that they lack into a role', async () => {
    const create = (name: string, scopes: string[]) => app.post('/admin/roles', { name, scopes }, manager.token);
    for (const scopes of [['keys:write'], ['users:read', 'audit:read'], ['articles:publish'], ['invented']])
      expect((await create('too-strong', scopes)).body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect((await create('reader', ['users:read'])).status).toBe(201);
    const setScopes = (name: string, scopes: string[]) =>
      app.call('patch', `/admin/roles/${name}`, { body: { scopes }, token: manager.token });
    expect((await setScopes('reader', ['users:read', 'keys:write'])).status).toBe(403);
    expect((await setScopes('manager', ['roles:write', 'users:read', 'users:write', 'keys:write'])).status).toBe(403);
    expect((await setScopes('reader', ['users:read', 'users:write'])).status).toBe(200);
  });

  test('cannot withdraw or change a role with scopes that they lack', async () => {
    const publisher = await app.admin({ roles: ['publisher'], scope: 'profile' });
    expect((await patch(publisher, { roles: ['user'] }, manager)).status).toBe(403);
    const { token } = manager;
    const narrowed = await app.call('patch', '/admin/roles/publisher', { body: { scopes: [] }, token });
    expect([narrowed.status, (await app.call('delete', '/admin/roles/publisher', { token })).status]).toEqual([
      403, 403,
    ]);
  });

  test('cannot change an account with administrative scopes that they lack', async () => {
    for (const body of [{ is_active: false }, { display_name: 'Other' }, { email_verified: false }, { roles: [] }])
      expect((await patch(admin, body, manager)).body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect((await remove(admin, manager)).status).toBe(403);
    for (const action of ['logout', 'unlock', 'reset-password'])
      expect((await app.post(`/admin/users/${admin.user.id}/${action}`, undefined, manager.token)).status).toBe(403);
    expect((await app.get('/me', admin.access_token)).body.display_name).toBe('Grace Hopper');
    const publisher = await app.admin({ roles: ['publisher'], scope: 'profile' });
    expect((await patch(publisher, { is_active: false }, manager)).status).toBe(200);
    expect((await patch(manager, { display_name: 'Manager' }, manager)).status).toBe(200);
  });

  test('cannot revoke a session or an API key of an account with administrative scopes that they lack', async () => {
    const token = await app.tokenOf(manager, 'sessions api-keys users:write');
    const adminToken = await app.tokenOf(admin, 'profile api-keys');
    const { body: key } = await app.post('/api-keys', { name: 'Report', scopes: ['profile'] }, adminToken);
    for (const path of [`/sessions/${admin.session_id}`, `/api-keys/${key.id}`])
      expect((await app.call('delete', path, { token })).body).toMatchObject({ code: 'insufficient_scope' });
    expect((await app.get('/me', admin.access_token)).status).toBe(200);
    expect((await app.get('/api-keys', adminToken)).body.api_keys).toMatchObject([{ id: key.id }]);
    const publisher = await app.admin({ roles: ['publisher'], scope: 'profile' });
    expect((await app.call('delete', `/sessions/${publisher.session_id}`, { token })).status).toBe(204);
  });

  test('gains custom roles from an administrator, who can grant every role', async () => {
    const ada = await app.register();
    const roles = ['manager', 'publisher', 'user'];
    expect((await patch(ada, { roles }, admin)).body).toMatchObject({ roles });
  });
});

describe('every scope of the role admin without the role', () => {
  let admin: Admin;
  let deputy: Admin;
  let keys: Record<'an API key of an administrator' | 'an API key of such a user', string>;
  beforeAll(async () => {
    await app.db.roles.define('deputy', adminScopes.split(' '));
    admin = await app.admin();
    deputy = await app.admin({ roles: ['deputy'] });
    const secretOf = async (account: Admin) => (await app.apiKeyOf(account, adminScopes.split(' '))).client_secret;
    keys = {
      'an API key of an administrator': await secretOf(admin),
      'an API key of such a user': await secretOf(deputy),
    };
  });

  type Caller = 'a user' | keyof typeof keys;
  const callers: Caller[] = ['a user', 'an API key of an administrator', 'an API key of such a user'];
  const callAs = (caller: Caller, method: 'get' | 'post' | 'patch' | 'delete', path: string, body?: object) =>
    app.call(
      method,
      path,
      caller === 'a user' ? { body, token: deputy.token } : { body, headers: { 'x-api-key': keys[caller] } },
    );
  const refused = { status: 403, code: 'insufficient_scope' };

  test.each(callers)('does not allow %s to grant the role admin', async (caller) => {
    const other = await app.register();
    for (const { user } of [other, deputy])
      for (const roles of [['admin'], ['user', 'deputy', 'admin']])
        expect((await callAs(caller, 'patch', `/admin/users/${user.id}`, { roles })).body).toMatchObject(refused);
    expect([await app.db.roles.of(other), await app.db.roles.of(deputy)]).toEqual([['user'], ['deputy', 'user']]);
    expect((await callAs(caller, 'patch', `/admin/users/${other.user.id}`, { roles: ['user', 'deputy'] })).status).toBe(
      200,
    );
  });

  test.each(callers)('does not allow %s to change, disable, delete or log out an administrator', async (caller) => {
    const target = await app.admin();
    const path = `/admin/users/${target.user.id}`;
    for (const body of [{ roles: ['user'] }, { is_active: false }, { email_verified: true }, { display_name: 'Eve' }])
      expect((await callAs(caller, 'patch', path, body)).body).toMatchObject(refused);
    for (const action of ['logout', 'unlock', 'reset-password'])
      expect((await callAs(caller, 'post', `${path}/${action}`)).body).toMatchObject(refused);
    expect((await callAs(caller, 'delete', path)).body).toMatchObject(refused);
    expect((await app.get('/admin/users', target.token)).status).toBe(200);
  });

  test.each(callers)('does not allow %s to enable a disabled administrator', async (caller) => {
    const target = await app.admin();
    await patch(target, { is_active: false }, admin);
    const enabled = await callAs(caller, 'patch', `/admin/users/${target.user.id}`, { is_active: true });
    expect(enabled.body).toMatchObject(refused);
    expect((await app.db.users.get(target)).is_active).toBe(false);
  });

  test('does not allow a user to revoke a session or an API key of an administrator', async () => {
    const token = await app.tokenOf(deputy, `sessions api-keys ${adminScopes}`);
    const key = await app.apiKeyOf(admin, ['profile']);
    for (const path of [`/sessions/${admin.session_id}`, `/api-keys/${key.id}`])
      expect((await app.call('delete', path, { token })).body).toMatchObject(refused);
    expect((await app.get('/me', admin.access_token)).status).toBe(200);
  });

  test('gets a challenge that names no scope, because none would be enough', async () => {
    const other = await app.register();
    const { headers } = await patch(other, { roles: ['admin'] }, deputy);
    expect(headers['www-authenticate']).toBe('Bearer realm="keyturn", error="insufficient_scope"');
  });

  test('stops a demoted administrator, even if the demotion and a grant are concurrent', async () => {
    for (let round = 0; round < 5; round += 1) {
      const [demoted, other] = [await app.admin(), await app.register()];
      const [granted] = await Promise.all([
        patch(other, { roles: ['admin', 'user'] }, demoted),
        patch(demoted, { roles: ['user', 'deputy'] }, admin),
      ]);
      expect(await app.db.roles.of(other)).toEqual(granted.status === 200 ? ['admin', 'user'] : ['user']);
      expect([200, 403]).toContain(granted.status);
      expect((await patch(other, { roles: ['user', 'admin'] }, demoted)).status).toBe(403);
    }
  });
});

describe('the last active administrator', () => {
  let [first, second]: Admin[] = [];
  const pair = () => {
    if (!first || !second) throw new Error('beforeEach did not run');
    return [first, second] as const;
  };
  beforeEach(async () => {
    await app.db.roles.removeFromAll('admin');
    [first, second] = [await app.admin(), await app.admin()];
  });

  const removals: [title: string, removeAdmin: (of: Admin, by: Admin) => Promise<{ status: number; body: object }>][] =
    [
      ['loses the role', (of, by) => patch(of, { roles: ['user'] }, by)],
      ['is disabled', (of, by) => patch(of, { is_active: false }, by)],
      ['is deleted', remove],
      ['deletes the account', deleteOwnAccount],
    ];

  test.each(removals)('never %s, unlike one of two administrators', async (_title, removeAdmin) => {
    const [one, other] = pair();
    expect((await removeAdmin(other, one)).status).toBeLessThan(300);
    for (const [, removeLast] of removals)
      expect(await removeLast(one, one)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await countActiveAdmins()).toBe(1);
    expect((await app.get('/admin/users', one.token)).status).toBe(200);
  });

  test('keeps the role while all other administrators are disabled', async () => {
    const [one, other] = pair();
    await patch(other, { is_active: false }, one);
    expect((await patch(one, { roles: ['user'] }, one)).status).toBe(409);
    await patch(other, { is_active: true }, one);
    expect((await patch(one, { roles: ['user'] }, one)).status).toBe(200);
  });

  test.each(removals)(
    'remains if each of two administrators concurrently makes a change after which the other one %s',
    async (_title, removeAdmin) => {
      for (let round = 0; round < 5; round += 1) {
        await app.db.roles.removeFromAll('admin');
        const [one, other] = [await app.admin(), await app.admin()];
        const statuses = (await Promise.all([removeAdmin(one, other), removeAdmin(other, one)])).map(
          ({ status }) => status,
        );
        expect(statuses.filter((status) => status < 300)).toHaveLength(1);
        // The slower one is logged out, demoted, deleted or the last administrator.
        expect(statuses.filter((status) => status >= 300 && ![401, 403, 404, 409].includes(status))).toEqual([]);
        expect(await countActiveAdmins()).toBe(1);
      }
    },
  );

  test('remains after fifty concurrent changes of every kind, without deadlocks', async () => {
    const admins = [...pair(), ...(await Promise.all(Array.from({ length: 4 }, () => app.admin())))];
    const changes = Array.from({ length: 50 }, (_, index) => {
      const removeAdmin = removals[index % removals.length]?.[1];
      const [of, by] = [admins[index % admins.length], admins[(index * 5 + 1) % admins.length]];
      if (!removeAdmin || !of || !by) throw new Error('no administrator');
      return removeAdmin(of, by);
    });
    const responses = await Promise.all(changes);
    expect(warnings.filter((line) => line.includes('"cause":"deadlock"'))).toEqual([]);
    expect(responses.filter(({ status }) => ![200, 204, 401, 403, 404, 409].includes(status))).toEqual([]);
    expect(await countActiveAdmins()).toBeGreaterThanOrEqual(1);
  });

  test('remains after fifty concurrent demotions of two administrators, without server errors', async () => {
    const [one, other] = pair();
    const changes = Array.from({ length: 50 }, (_, index) =>
      index % 2 ? patch(one, { roles: ['user'] }, other) : patch(other, { roles: ['user'] }, one),
    );
    const statuses = (await Promise.all(changes)).map(({ status }) => status);
    expect(statuses.filter((status) => ![200, 403, 409].includes(status))).toEqual([]);
    expect(await countActiveAdmins()).toBe(1);
  });
});
