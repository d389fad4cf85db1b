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
  await grant(admin, 'admin');
});
afterAll(() => app.close());

const grant = ({ user: { id } }: Account, role: string) =>
  app.sql.query('INSERT INTO user_roles (user_id, role) VALUES ($1, $2)', [id, role]);
const withdraw = ({ user: { id } }: Account, role: string) =>
  app.sql.query('DELETE FROM user_roles WHERE user_id = $1 AND role = $2', [id, role]);

const login = ({ email }: Account, scope?: unknown) => app.post('/login', { email, password, scope });

/** The scope of a login, which its answer and its token must agree upon. */
async function scopeOf(account: Account, asked?: string): Promise<string> {
  const response = await login(account, asked);
  expect(response.status).toBe(200);
  const { access_token: token, scope } = response.body;
  expect(decodeJwt(token)['scope']).toBe(scope);
  return scope;
}

describe('elevated scopes are given only by name:', () => {
  test('left out, the scope of a user has no api-keys', async () => {
    expect(await scopeOf(user)).toBe('profile sessions');
  });

  test('left out, the scope of an administrator is that of a user', async () => {
    expect(await scopeOf(admin)).toBe('profile sessions');
    expect(decodeJwt((await login(admin)).body.access_token)['roles']).toEqual(['admin', 'user']);
  });

  test('asked for by name they are given, and nothing besides', async () => {
    expect(await scopeOf(user, 'api-keys')).toBe('api-keys');
    expect(await scopeOf(admin, 'users:read')).toBe('users:read');
    expect(await scopeOf(admin, adminScopes)).toBe(adminScopes);
  });
});

describe('a scope that is asked for narrows and never widens:', () => {
  test('what one does not hold is left out', async () => {
    expect(await scopeOf(user, 'profile users:write keys:write')).toBe('profile');
    expect(await scopeOf(user, `sessions ${adminScopes} unheard-of`)).toBe('sessions');
  });

  test('order and repeats do not matter', async () => {
    expect(await scopeOf(user, 'sessions profile profile')).toBe('profile sessions');
  });

  test.each(['users:write', adminScopes, 'unheard-of', 'PROFILE', 'profil'])(
    'where nothing of %s is held, the login is refused',
    async (scope) => {
      const sessions = async () => (await app.sql.query('SELECT count(*)::int AS n FROM sessions')).rows;
      const before = await sessions();
      const response = await login(user, scope);
      expect(response.status).toBe(400);
      expect(response.body.errors).toEqual([{ path: 'scope', message: expect.any(String) }]);
      expect(await sessions()).toEqual(before);
    },
  );

  test('with a wrong password nothing is told of what the account holds', async () => {
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
  ])('%j is malformed', async (scope) => {
    const response = await login(user, scope);
    expect(response.status).toBe(400);
    const paths = (response.body.errors as { path: string }[]).map(({ path }) => path);
    expect(new Set(paths)).toEqual(new Set(['scope']));
  });
});

describe('a session keeps what its login asked for:', () => {
  test('a refresh gives the same scope again', async () => {
    const { refresh_token: token } = (await login(user, 'profile api-keys')).body;
    expect((await app.refresh(token)).body.scope).toBe('api-keys profile');
  });

  test('a role that is granted shows at the next refresh, in roles and scopes; one that is withdrawn, too', async () => {
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
    await grant(account, 'admin');
    expect(await refreshed()).toEqual({ roles: ['admin', 'user'], scope: 'audit:read profile' });
    await withdraw(account, 'admin');
    expect(await refreshed()).toEqual({ roles: ['user'], scope: 'profile' });
    await withdraw(account, 'user');
    expect(await refreshed()).toEqual({ roles: [], scope: '' });
  });

  test('a token without any scope opens nothing', async () => {
    const account = await app.register();
    await withdraw(account, 'user');
    const { access_token: token, scope } = (await app.refresh(account.refresh_token)).body;
    expect(scope).toBe('');
    expect((await app.get('/me', token)).status).toBe(403);
    expect((await app.get('/sessions', token)).status).toBe(403);
  });

  test('a grant without a named scope follows the role, less the elevated scopes', async () => {
    const account = await app.register();
    await app.sql.query(`INSERT INTO roles (name, description, scopes) VALUES ('editor', 'Edits', '{posts:write}')`);
    await grant(account, 'editor');
    await grant(account, 'admin');
    const { access_token: token } = (await app.refresh(account.refresh_token)).body;
    expect(decodeJwt(token)).toMatchObject({
      roles: ['admin', 'editor', 'user'],
      scope: 'posts:write profile sessions',
    });
  });
});

test('the profile tells all that is held, elevated scopes too', async () => {
  const { access_token: token } = (await login(admin)).body;
  const { body } = await app.get('/me', token);
  expect(body.roles).toEqual(['admin', 'user']);
  expect(body.scopes).toEqual(['api-keys', ...adminScopes.split(' '), 'profile', 'sessions'].sort());
});

test('a login that holds nothing of what it asks for is in the audit trail, as it tells that the password is right', async () => {
  const account = await app.register();
  expect((await app.post('/login', { email: account.email, password, scope: 'zzz' })).status).toBe(400);
  const { rows } = await app.sql.query(
    `SELECT outcome, reason FROM audit_events WHERE user_id = $1 AND type = 'login'`,
    [account.user.id],
  );
  expect(rows).toEqual([{ outcome: 'failure', reason: 'no_scope_held' }]);
});
