import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Response } from 'supertest';
import { parse } from 'yaml';
import { freshEmail, password, startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

type Endpoint = [operation: string, scope: string, call: (token: string | undefined, of: Account) => Promise<Response>];

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

/** Each call succeeds with a valid token. */
const endpoints: Endpoint[] = [
  ['get /me', 'profile', (token) => app.get('/me', token)],
  ['patch /me', 'profile', (token) => app.call('patch', '/me', { body: { display_name: 'Ada' }, token })],
  [
    'post /me/password',
    'profile',
    (token) => app.post('/me/password', { current_password: password, new_password: `${password} 2` }, token),
  ],
  [
    'post /me/email',
    'profile',
    (token) => app.post('/me/email', { new_email: freshEmail(), current_password: password }, token),
  ],
  ['post /me/delete', 'profile', (token) => app.post('/me/delete', { current_password: password }, token)],
  ['post /logout/all', 'sessions', (token) => app.post('/logout/all', undefined, token)],
  ['get /sessions', 'sessions', (token) => app.get('/sessions', token)],
  [
    'delete /sessions/{id}',
    'sessions',
    (token, { session_id: id }) => app.call('delete', `/sessions/${id}`, { token }),
  ],
  ['get /api-keys', 'api-keys', (token) => app.get('/api-keys', token)],
  [
    'post /api-keys',
    'api-keys',
    (token) => app.post('/api-keys', { name: 'Nightly report', scopes: ['api-keys'] }, token),
  ],
  [
    'delete /api-keys/{id}',
    'api-keys',
    async (token, { user }) => {
      const { rows } = await app.sql.query<{ id: string }>(
        `INSERT INTO api_keys (id, user_id, name, scopes, secret_hash)
         SELECT gen_random_uuid(), id, 'x', '{}', '' FROM users WHERE id = $1 RETURNING id`,
        [user.id],
      );
      const { id = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11' } = rows[0] ?? {};
      return app.call('delete', `/api-keys/${id}`, { token });
    },
  ],
];

/** Registers an account with an access token that has the scope. */
async function accountWith(scope: string): Promise<Account> {
  const account = await app.register();
  if (account.scope.split(' ').includes(scope)) return account;
  const { rows } = await app.sql.query(`SELECT 1 FROM roles WHERE name = 'user' AND $1 = ANY (scopes)`, [scope]);
  if (rows.length === 0)
    await app.sql.query(`INSERT INTO user_roles (user_id, role) VALUES ($1, 'admin')`, [account.user.id]);
  const requested = `profile sessions ${scope}`;
  const { body } = await app.post('/login', { email: account.email, password, scope: requested });
  return { ...account, ...body };
}

const seen = ({ status, body, headers }: Response) => ({
  status,
  code: body.code,
  challenge: headers['www-authenticate'],
  cache: headers['cache-control'],
});

const invalidToken = {
  status: 401,
  code: 'invalid_access_token',
  challenge: 'Bearer realm="keyturn", error="invalid_token"',
  cache: 'no-store',
};
/** RFC 6750 section 3.1: without credentials the challenge has no error code. */
const missingToken = { ...invalidToken, challenge: 'Bearer realm="keyturn"' };

test('the table contains every endpoint that accepts an access token', () => {
  const { paths } = parse(readFileSync('openapi.yaml', 'utf8')) as {
    paths: Record<string, Record<string, { security?: object[] }>>;
  };
  // tests/admin/access.test.ts covers the endpoints of administrators.
  const own = Object.entries(paths).filter(([path]) => !path.startsWith('/admin/'));
  const secured = own.flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, { security = [] }]) =>
      security.length > 0 && security.every((way) => ['bearer', 'oauth2', 'apiKey'].some((name) => name in way))
        ? [`${method} ${path}`]
        : [],
    ),
  );
  expect(secured.sort()).toEqual(endpoints.map(([operation]) => operation).sort());
});

describe.each(endpoints)('%s', (_operation, scope, call) => {
  test('succeeds with a valid token', async () => {
    const account = await accountWith(scope);
    expect((await call(account.access_token, account)).status).toBeLessThan(300);
  });

  test('returns 401 without an error code if the token is missing', async () => {
    expect(seen(await call(undefined, await accountWith(scope)))).toEqual(missingToken);
  });

  test('returns 401 for a refresh token and for garbage', async () => {
    const account = await accountWith(scope);
    for (const token of [account.refresh_token, 'garbage', '..', account.access_token.slice(0, -1)])
      expect(seen(await call(token, account))).toEqual(invalidToken);
  });

  test('returns 401 for the unexpired token of a session that was logged out', async () => {
    const account = await accountWith(scope);
    await app.post('/logout', { refresh_token: account.refresh_token });
    expect(seen(await call(account.access_token, account))).toEqual(invalidToken);
  });

  test.each([
    ['expired after inactivity', 'UPDATE sessions SET expires_at = clock_timestamp() WHERE id = $1'],
    ['reached its maximum lifetime', 'UPDATE sessions SET absolute_expires_at = clock_timestamp() WHERE id = $1'],
    ['was purged', 'DELETE FROM sessions WHERE id = $1'],
    [
      'belongs to a disabled user',
      'UPDATE users SET is_active = false FROM sessions AS s WHERE s.user_id = users.id AND s.id = $1',
    ],
    ['belongs to a deleted user', 'DELETE FROM users USING sessions AS s WHERE s.user_id = users.id AND s.id = $1'],
  ])('returns 401 for the token of a session that %s', async (_state, statement) => {
    const account = await accountWith(scope);
    expect((await app.sql.query(statement, [account.session_id])).rowCount).toBe(1);
    expect(seen(await call(account.access_token, account))).toEqual(invalidToken);
  });

  test('returns 403 without its scope and names the scope', async () => {
    const account = await app.register();
    const other = scope === 'profile' ? 'sessions' : 'profile';
    const { access_token: token } = (await app.post('/login', { email: account.email, password, scope: other })).body;
    const response = await call(token, account);
    expect(response.status).toBe(403);
    expect(response.body).toMatchObject({ code: 'insufficient_scope', status: 403 });
    expect(response.headers['www-authenticate']).toBe(
      `Bearer realm="keyturn", error="insufficient_scope", scope="${scope}"`,
    );
    expect((await app.get('/me', account.access_token)).status).toBe(200);
    expect((await app.login(account.email)).status).toBe(200);
  });
});

test('a token is accepted only in the Authorization header', async () => {
  const { access_token: token } = await app.register();
  expect(seen(await app.get(`/me?access_token=${token}`))).toEqual(missingToken);
  expect(seen(await app.get('/me', undefined, { cookie: `access_token=${token}` }))).toEqual(missingToken);
  expect(seen(await app.get('/me', undefined, { 'x-access-token': token }))).toEqual(missingToken);
  expect(seen(await app.get('/me', undefined, { authorization: token }))).toEqual(missingToken);
  expect(seen(await app.get('/me', undefined, { authorization: `DPoP ${token}` }))).toEqual(missingToken);
  expect((await app.get('/me', undefined, { authorization: `bEaReR ${token}` })).status).toBe(200);
});
