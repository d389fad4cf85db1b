import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { password, startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

const adminScopes = 'audit:read keys:write roles:write tokens:introspect users:read users:write';

let app: TestApp;
let user: Account;
let admin: Account;
beforeAll(async () => {
  app = await startApp();
  user = await app.register();
  admin = await app.register();
  await app.db.roles.grant(admin, 'admin');
});
afterAll(() => app.close());

const login = ({ email }: Account, scope?: unknown) => app.post('/login', { email, password, scope });

/** The scope of a login. The response and its access token must agree. */
async function scopeOf(account: Account, requested?: string): Promise<string> {
  const response = await login(account, requested);
  expect(response.status).toBe(200);
  const { access_token: token, scope } = response.body;
  expect(decodeJwt(token)['scope']).toBe(scope);
  return scope;
}

describe('elevated scopes must be requested by name:', () => {
  test('the default scope of a user does not contain api-keys', async () => {
    expect(await scopeOf(user)).toBe('profile sessions');
  });

  test('the default scope of an administrator is the same as that of a user', async () => {
    expect(await scopeOf(admin)).toBe('profile sessions');
    expect(decodeJwt((await login(admin)).body.access_token)['roles']).toEqual(['admin', 'user']);
  });

  test('a login that requests them gets only the requested scopes', async () => {
    expect(await scopeOf(user, 'api-keys')).toBe('api-keys');
    expect(await scopeOf(admin, 'users:read')).toBe('users:read');
    expect(await scopeOf(admin, adminScopes)).toBe(adminScopes);
  });
});

describe('a requested scope narrows and never extends the scopes of the roles:', () => {
  test('scopes that the user does not hold are omitted', async () => {
    expect(await scopeOf(user, 'profile users:write keys:write')).toBe('profile');
    expect(await scopeOf(user, `sessions ${adminScopes} unknown-scope`)).toBe('sessions');
  });

  test('order and duplicates do not matter', async () => {
    expect(await scopeOf(user, 'sessions profile profile')).toBe('profile sessions');
  });

  test.each(['users:write', adminScopes, 'unknown-scope', 'PROFILE', 'profil'])(
    'a login is refused if the user holds none of %s',
    async (scope) => {
      const before = await app.db.count('sessions');
      const response = await login(user, scope);
      expect(response.status).toBe(400);
      expect(response.body.errors).toEqual([{ path: 'scope', message: expect.any(String) }]);
      expect(await app.db.count('sessions')).toBe(before);
    },
  );

  test('a wrong password is refused before the scope is checked', async () => {
    const response = await app.post('/login', { email: user.email, password: 'not the one', scope: 'users:write' });
    expect(response.status).toBe(401);
  });

  test.each([
    '',
    ' ',
    'profile  sessions',
    ' profile',
    'profile ',
    'profile\tsessions',
    'pro"file',
    'pro\\file',
    'profilé',
    'profile,sessions\n',
    'x'.repeat(1001),
    7,
    null,
    ['profile'],
  ])('%j is refused as malformed', async (scope) => {
    const response = await login(user, scope);
    expect(response.status).toBe(400);
    const paths = (response.body.errors as { path: string }[]).map(({ path }) => path);
    expect(new Set(paths)).toEqual(new Set(['scope']));
  });
});

describe('a session keeps the scope that its login requested:', () => {
  test('a refresh returns the same scope', async () => {
    const { refresh_token: token } = (await login(user, 'profile api-keys')).body;
    expect((await app.refresh(token)).body.scope).toBe('api-keys profile');
  });

  test('granted and revoked roles take effect at the next refresh', async () => {
    const account = await app.register();
    let { refresh_token: token } = (await login(account, 'profile audit:read')).body;
    const refreshed = async () => {
      const { body, status } = await app.refresh(token);
      expect(status).toBe(200);
      token = body.refresh_token;
      const { roles, scope } = decodeJwt(body.access_token);
      expect(body.scope).toBe(scope);
      return { roles, scope };
    };
    expect(await refreshed()).toEqual({ roles: ['user'], scope: 'profile' });
    await app.db.roles.grant(account, 'admin');
    expect(await refreshed()).toEqual({ roles: ['admin', 'user'], scope: 'audit:read profile' });
    await app.db.roles.take(account, 'admin');
    expect(await refreshed()).toEqual({ roles: ['user'], scope: 'profile' });
    await app.db.roles.take(account, 'user');
    expect(await refreshed()).toEqual({ roles: [], scope: '' });
  });

  test('an access token without scopes is refused with 403', async () => {
    const account = await app.register();
    await app.db.roles.take(account, 'user');
    const { access_token: token, scope } = (await app.refresh(account.refresh_token)).body;
    expect(scope).toBe('');
    expect((await app.get('/me', token)).status).toBe(403);
    expect((await app.get('/sessions', token)).status).toBe(403);
  });

  test('a session without a requested scope gets new scopes of its roles except elevated scopes', async () => {
    const account = await app.register();
    await app.db.roles.define('editor', ['posts:write']);
    await app.db.roles.grant(account, 'editor');
    await app.db.roles.grant(account, 'admin');
    const { access_token: token } = (await app.refresh(account.refresh_token)).body;
    expect(decodeJwt(token)).toMatchObject({
      roles: ['admin', 'editor', 'user'],
      scope: 'posts:write profile sessions',
    });
  });
});

test('the profile contains all scopes of the user, including elevated scopes', async () => {
  const { access_token: token } = (await login(admin)).body;
  const { body } = await app.get('/me', token);
  expect(body.roles).toEqual(['admin', 'user']);
  expect(body.scopes).toEqual(['api-keys', ...adminScopes.split(' '), 'profile', 'sessions'].sort());
});

test('a login without any held scope is audited because it shows that the password is correct', async () => {
  const account = await app.register();
  expect((await app.post('/login', { email: account.email, password, scope: 'zzz' })).status).toBe(400);
  expect(await app.db.audit.events({ user_id: account.user.id, type: 'login' })).toMatchObject([
    { outcome: 'failure', reason: 'no_scope_held' },
  ]);
});
