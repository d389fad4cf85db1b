import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
import { adminScopes } from '../support/builders.ts';
import { startStatementTap, type StatementTap } from '../support/statement-tap.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

jest.setTimeout(60_000);

let database: TestDatabase;
let tap: StatementTap;
let app: TestApp;
beforeAll(async () => {
  database = await createDatabase();
  tap = await startStatementTap(database.url);
  app = await startApp({}, { databaseUrl: tap.url });
});
afterAll(async () => {
  await app.close();
  await tap.close();
  await database.drop();
});

interface Key {
  id: string;
  client_id: string;
  client_secret: string;
  [member: string]: unknown;
}

/** An account with an access token that can create keys. */
async function owner(scope = 'profile sessions api-keys'): Promise<Account & { token: string }> {
  const account = await app.register();
  const { body } = await app.post('/login', { email: account.email, password, scope });
  return { ...account, token: body.access_token };
}

const create = (token: string, members: object = {}) =>
  app.post('/api-keys', { name: 'Nightly report', scopes: ['profile'], ...members }, token);
const newKey = async (token: string, members: object = {}): Promise<Key> => (await create(token, members)).body as Key;
const withKey = (secret: string, path = '/me') => app.call('get', path, { headers: { 'x-api-key': secret } });
const listed = async (token: string, query = '') => (await app.get(`/api-keys${query}`, token)).body;
const grant = (userId: string, role: string) =>
  app.sql.query('INSERT INTO user_roles (user_id, role) VALUES ($1, $2)', [userId, role]);
const demote = (userId: string, role: string) =>
  app.sql.query('DELETE FROM user_roles WHERE user_id = $1 AND role = $2', [userId, role]);

/** This day in another year; the 28th at most. */
const inYears = (years: number): string => {
  const now = new Date();
  return new Date(
    Date.UTC(now.getUTCFullYear() + years, now.getUTCMonth(), Math.min(now.getUTCDate(), 28)),
  ).toISOString();
};

test('returns the secret once and stores only its hash', async () => {
  const { token, user } = await owner();
  const expiresAt = `${new Date().getUTCFullYear() + 9}-01-01T00:00:00`;
  const { token: ofOther } = await owner();
  expect((await create(ofOther, { expires_at: `${expiresAt.toLowerCase()}z` })).status).toBe(201);
  const response = await create(token, { expires_at: `${expiresAt}+01:00` });
  expect(response.status).toBe(201);
  expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });
  const { client_secret: secret, ...key } = response.body as Key;
  expect(key).toMatchObject({
    client_id: `key_${key.id}`,
    name: 'Nightly report',
    scopes: ['profile'],
    expires_at: new Date(Date.parse(`${expiresAt}Z`) - 3_600_000).toISOString(),
    last_used_at: null,
  });
  expect(secret).toMatch(/^ktk_[\w-]{86}$/);
  const list = await app.get('/api-keys', token);
  expect(list.body).toEqual({ api_keys: [key], next_cursor: null });
  const { rows } = await app.sql.query('SELECT k::text AS row FROM api_keys AS k WHERE user_id = $1', [user.id]);
  expect(JSON.stringify(rows)).not.toContain(Buffer.from(secret.slice(4), 'base64url').toString('hex', 16, 48));
  const { rows: events } = await app.sql.query(
    `SELECT type, outcome, api_key_id FROM audit_events WHERE user_id = $1 AND type LIKE 'api_key.%'`,
    [user.id],
  );
  expect(events).toEqual([{ type: 'api_key.created', outcome: 'success', api_key_id: key.id }]);
});

test('authenticates its owner within its scopes and shows its last use', async () => {
  const { token, email } = await owner();
  const { client_secret: secret } = await newKey(token);
  const me = await withKey(secret);
  expect(me.body).toMatchObject({ email });
  const denied = await withKey(secret, '/sessions');
  expect(denied.body).toMatchObject({ status: 403, code: 'insufficient_scope' });
  expect((await listed(token)).api_keys[0].last_used_at).toMatch(/^\d{4}-/);
});

test('is looked up and marked as used by one statement', async () => {
  const { token } = await owner();
  const { client_secret: secret } = await newKey(token);
  await withKey(secret);
  tap.reset();
  await withKey(secret);
  expect(tap.statements()).toHaveLength(2); // the other is the statement of GET /me
});

test('a forged secret costs no query and gets the same response as a revoked one', async () => {
  const { token } = await owner();
  const key = await newKey(token);
  const secret = key.client_secret;
  const flipped = secret.slice(0, -1) + (secret.endsWith('A') ? 'Q' : 'A');
  tap.reset();
  const responses = [await withKey(flipped), await withKey(secret.replace('ktk_', 'kto_'))];
  expect(tap.statements()).toEqual([]);
  expect((await app.call('delete', `/api-keys/${key.id}`, { token })).status).toBe(204);
  responses.push(await withKey(secret));
  const outcomes = responses.map(({ status, body, headers }) => [status, body.code, headers['www-authenticate']]);
  for (const outcome of outcomes)
    expect(outcome).toEqual([401, 'invalid_access_token', 'Bearer realm="keyturn", error="invalid_token"']);
});

test('a request with an access token and an API key returns 400', async () => {
  const { token } = await owner();
  const { client_secret: secret } = await newKey(token);
  const both = await app.call('get', '/me', { token, headers: { 'x-api-key': secret } });
  expect(both.body).toMatchObject({ status: 400, code: 'validation_failed' });
  expect(both.headers['www-authenticate']).toContain('error="invalid_request"');
});

describe('creating an API key', () => {
  test('requires the scope api-keys, which a login must request by name', async () => {
    const { access_token: token } = await app.register();
    expect((await create(token)).body).toMatchObject({ status: 403, code: 'insufficient_scope' });
  });

  test('requires a login in the last ten minutes', async () => {
    const { email } = await app.register();
    const { body } = await app.post('/login', { email, password, scope: 'profile api-keys' });
    const refreshed = async (refreshToken: string) => (await app.refresh(refreshToken)).body;
    await app.db.sessions.ageAuthentication(body, 590);
    const younger = await refreshed(body.refresh_token);
    expect((await create(younger.access_token)).status).toBe(201);
    await app.db.sessions.ageAuthentication(body, 10);
    const { access_token: older } = await refreshed(younger.refresh_token);
    const response = await create(older);
    expect(response.body).toMatchObject({ status: 401, code: 'insufficient_user_authentication' });
    expect(response.headers['www-authenticate']).toBe(
      'Bearer realm="keyturn", error="insufficient_user_authentication", max_age="600"',
    );
  });

  test.each([-300, 300])('measures the age of the login by the clock of the database, %i s away', async (seconds) => {
    const { email } = await app.register();
    const { body } = await app.post('/login', { email, password, scope: 'profile api-keys' });
    await app.db.sessions.ageAuthentication(body, 400);
    const { access_token: younger, refresh_token: next } = (await app.refresh(body.refresh_token)).body;
    await app.db.sessions.ageAuthentication(body, 300);
    const { access_token: older } = (await app.refresh(next)).body;
    app.clock.step(seconds);
    const statuses = [(await create(younger)).status, (await create(older)).status];
    app.clock.step(-seconds);
    expect(statuses).toEqual([201, 401]);
  });

  test.each([-60, 60])('compares expires_at with the clock of the database, %i s away', async (seconds) => {
    const { token } = await owner();
    const at = (offset: number) => ({ expires_at: new Date(Date.now() + offset * 1000).toISOString() });
    app.clock.step(seconds);
    const statuses = [(await create(token, at(-30))).status, (await create(token, at(30))).status];
    app.clock.step(-seconds);
    expect(statuses).toEqual([400, 201]);
  });

  test('does not accept a refresh as a login', async () => {
    const { email } = await app.register();
    const { body } = await app.post('/login', { email, password, scope: 'profile api-keys' });
    await app.sql.query(`UPDATE sessions SET auth_time = auth_time - interval '11 minutes' WHERE id = $1`, [
      body.session_id,
    ]);
    const { body: refreshed } = await app.refresh(body.refresh_token);
    expect((await create(refreshed.access_token)).status).toBe(401);
  });

  test('returns 403 for a scope that the access token lacks', async () => {
    const { token } = await owner('profile api-keys');
    const response = await create(token, { scopes: ['profile', 'sessions', 'users:read'] });
    expect(response.body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect((await listed(token)).api_keys).toEqual([]);
  });

  test('lists every invalid member', async () => {
    const { token } = await owner();
    const { body } = await app.post('/api-keys', { name: '', scopes: ['a b'], expires_at: 'soon', secret: 'x' }, token);
    expect(body.errors.map(({ path }: { path: string }) => path).toSorted()).toEqual([
      'expires_at',
      'name',
      'scopes.0',
      'secret',
    ]);
    expect((await create(token, { scopes: [] })).status).toBe(400);
    expect((await create(token, { expires_at: '2001-01-01T00:00:00Z' })).body.errors[0].path).toBe('expires_at');
  });

  test('is not possible with an API key', async () => {
    const { token } = await owner();
    const { client_secret: secret } = await newKey(token, { scopes: ['api-keys', 'profile'] });
    const response = await app.call('post', '/api-keys', {
      body: { name: 'Another', scopes: ['profile'] },
      headers: { 'x-api-key': secret },
    });
    expect(response.body).toMatchObject({ status: 401, code: 'insufficient_user_authentication' });
  });

  test('stops at 100 keys for concurrent requests', async () => {
    const { token } = await owner();
    const statuses: number[] = [];
    for (let round = 0; round < 6; round += 1)
      statuses.push(
        ...(await Promise.all(Array.from({ length: 18 }, () => create(token)))).map(({ status }) => status),
      );
    expect(statuses.filter((status) => status === 201)).toHaveLength(100);
    expect(statuses.filter((status) => status === 409)).toHaveLength(8);
  });
});

describe('the expiry', () => {
  let token: string;
  beforeAll(async () => ({ token } = await owner()));

  test.each([
    ['-000001-01-01T00:00:00Z', 'must be an RFC 3339 date and time'],
    ['0000-01-01T00:00:00Z', 'must be in the future'],
    ['0001-01-01T00:00:00+23:59', 'must be in the future'],
    ['1969-12-31T23:59:59Z', 'must be in the future'],
    [inYears(11), 'must be at most ten years ahead'],
    ['9998-12-31T23:59:59Z', 'must be at most ten years ahead'],
    ['9999-12-31T23:59:59Z', 'must be at most ten years ahead'],
    ['9999-12-31T23:59:59-14:00', 'must be at most ten years ahead'],
    ['9999-12-31T23:59:59.9999999999-23:59', 'must be at most ten years ahead'],
    ['+010000-01-01T00:00:00Z', 'must be an RFC 3339 date and time'],
    ['10000-01-01T00:00:00Z', 'must be an RFC 3339 date and time'],
    ['2030-02-30T00:00:00Z', 'must be an RFC 3339 date and time'],
    ['2030-01-01T24:00:00Z', 'must be an RFC 3339 date and time'],
    ['2030-12-31T23:59:60Z', 'must be an RFC 3339 date and time'],
    ['2030-01-01T00:00:00+24:00', 'must be an RFC 3339 date and time'],
    ['infinity', 'must be an RFC 3339 date and time'],
    ['-infinity', 'must be an RFC 3339 date and time'],
    ['1893456000', 'must be an RFC 3339 date and time'],
    ['', 'must be an RFC 3339 date and time'],
  ])('%s is refused, and the list stays readable', async (expiresAt, message) => {
    const { status, body } = await create(token, { expires_at: expiresAt });
    expect([status, body.errors]).toEqual([400, [{ path: 'expires_at', message }]]);
    expect(await listed(token)).toEqual({ api_keys: [], next_cursor: null });
  });

  test('can be exactly ten years ahead', async () => {
    const principal = await owner();
    const key = await newKey(principal.token, { expires_at: inYears(10) });
    expect((await listed(principal.token)).api_keys).toEqual([
      expect.objectContaining({ id: key.id, expires_at: inYears(10) }),
    ]);
  });

  test('cannot be stored if it cannot be read', async () => {
    const { id } = await newKey((await owner()).token);
    for (const time of ['10000-01-01', 'infinity', '-infinity', '0044-03-15 BC'])
      await expect(
        app.sql.query('UPDATE api_keys SET expires_at = $2 WHERE id = $1', [id, time]),
      ).rejects.toMatchObject({ constraint: 'api_keys_expiry_has_four_digits' });
  });
});

test('loses the scopes that its owner loses, and regains only its own', async () => {
  const { user, email } = await app.register();
  await grant(user.id, 'admin');
  const { body } = await app.post('/login', { email, password, scope: 'profile sessions api-keys users:read' });
  const { client_secret: secret } = await newKey(body.access_token, { scopes: ['profile', 'sessions'] });
  await demote(user.id, 'admin');
  expect((await withKey(secret, '/sessions')).status).toBe(200);
  await demote(user.id, 'user');
  expect((await withKey(secret, '/sessions')).body).toMatchObject({ status: 403 });
  expect((await withKey(secret)).status).toBe(403);
  await grant(user.id, 'user');
  expect((await withKey(secret)).status).toBe(200);
});

test('is suspended, expired and deleted with its owner', async () => {
  const { token, user } = await owner();
  const { client_secret: secret, id } = await newKey(token, { expires_at: inYears(9) });
  await app.sql.query('UPDATE users SET is_active = false WHERE id = $1', [user.id]);
  expect((await withKey(secret)).status).toBe(401);
  await app.sql.query('UPDATE users SET is_active = true WHERE id = $1', [user.id]);
  expect((await withKey(secret)).status).toBe(200);
  await app.sql.query(`UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = $1`, [id]);
  expect((await withKey(secret)).status).toBe(401);
  await app.sql.query('DELETE FROM users WHERE id = $1', [user.id]);
  expect((await app.sql.query('SELECT 1 FROM api_keys WHERE id = $1', [id])).rows).toEqual([]);
});

test('survives logout and a password change, but not a password reset', async () => {
  const { token, email } = await owner();
  const { client_secret: secret } = await newKey(token);
  const change = { current_password: password, new_password: 'a quieter mare and no battery' };
  await app.post('/me/password', change, token);
  await app.post('/logout/all', undefined, token);
  expect((await withKey(secret)).status).toBe(200);
  await app.emails();
  await app.post('/forgot-password', { email });
  const { token: link } = await app.nextEmail(email);
  expect((await app.post('/reset-password', { token: link, new_password: password })).status).toBe(204);
  expect((await withKey(secret)).status).toBe(401);
});

describe('the remedies for a stolen account', () => {
  const next = 'a quieter mare and no battery';
  const change = { current_password: password, new_password: next };
  const linkOf = async (email: string, path: string) => {
    await app.emails();
    await app.post(path, { email });
    return (await app.nextEmail(email)).token;
  };
  type Owner = Awaited<ReturnType<typeof owner>>;
  type Remedy = [
    name: string,
    reason: string,
    apply: (of: Owner, body: object | undefined) => Promise<{ status: number }>,
  ];
  const chosen: Remedy[] = [
    [
      'a password change',
      'password_changed',
      ({ token }, body) => app.post('/me/password', { ...change, ...body }, token),
    ],
    ['a logout everywhere', 'logout_all', ({ token }, body) => app.post('/logout/all', body, token)],
    [
      'a logout by an administrator',
      'ended_by_admin',
      async ({ user }, body) => app.post(`/admin/users/${user.id}/logout`, body, (await app.admin()).token),
    ],
  ];
  const always: Remedy[] = [
    [
      'a password reset',
      'password_reset',
      async ({ email }) =>
        app.post('/reset-password', { token: await linkOf(email, '/forgot-password'), new_password: next }),
    ],
    [
      'an undone email change',
      'email_change_undone',
      async ({ email, user, token }) => {
        await app.nextEmail(email);
        await app.db.users.markVerified(user.id);
        await app.post('/me/email', { new_email: `new.${email}`, current_password: password }, token);
        return app.post('/undo-email-change', { token: (await app.nextEmail(email)).token });
      },
    ],
  ];
  const revocationsOf = async ({ user }: Owner) =>
    (await app.db.audit.events({ user_id: user.id, type: 'api_key.revoked' })).map(
      ({ api_key_id: key, reason }) => `${key} ${reason}`,
    );

  test.each(chosen)('include API keys after %s only if the request says so', async (_name, reason, apply) => {
    for (const body of [undefined, {}, { revoke_api_keys: false }]) {
      const account = await owner();
      const { client_secret: secret } = await newKey(account.token);
      expect((await apply(account, body)).status).toBe(204);
      expect((await withKey(secret)).status).toBe(200);
      expect(await revocationsOf(account)).toEqual([]);
    }
    const account = await owner();
    const keys = [await newKey(account.token), await newKey(account.token)];
    expect((await apply(account, { revoke_api_keys: true })).status).toBe(204);
    for (const { client_secret: secret } of keys) expect((await withKey(secret)).status).toBe(401);
    expect((await revocationsOf(account)).toSorted()).toEqual(keys.map(({ id }) => `${id} ${reason}`).toSorted());
  });

  test.each(always)('always include API keys for %s', async (_name, reason, apply) => {
    const account = await owner();
    const { id, client_secret: secret } = await newKey(account.token);
    expect((await apply(account, undefined)).status).toBe(204);
    expect((await withKey(secret)).status).toBe(401);
    expect(await revocationsOf(account)).toEqual([`${id} ${reason}`]);
    const { text } = await app.nextEmail(account.email);
    expect(text).toContain(`- Nightly report (${secret.slice(0, 16)}…)`);
    expect(text).toContain('revoked:');
  });

  test('cannot be applied to API keys with an API key', async () => {
    const { token } = await owner();
    const [leaked, other] = [await newKey(token), await newKey(token)];
    const headers = { 'x-api-key': leaked.client_secret };
    const refused = await app.call('post', '/logout/all', { body: { revoke_api_keys: true }, headers });
    expect([refused.status, refused.body.code]).toEqual([403, 'insufficient_scope']);
    expect((await withKey(other.client_secret)).status).toBe(200);
  });

  test('reject another body than the choice, but not an empty one', async () => {
    const { token } = await owner();
    for (const body of [{ revoke_api_keys: 'yes' }, { other: true }, [], 'text'])
      expect((await app.post('/logout/all', body, token)).status).toBeGreaterThanOrEqual(400);
    expect((await withKey((await newKey(token)).client_secret)).status).toBe(200);
    const headers = { 'content-type': 'application/json' };
    expect((await app.call('post', '/logout/all', { token, headers })).status).toBe(204);
  });

  test('list the keys that still work in the notice of a password change, without secrets', async () => {
    const { token, email } = await owner();
    const [kept, expired] = [await newKey(token), await newKey(token, { name: 'Old report' })];
    await app.db.apiKeys.expire(expired);
    await app.nextEmail(email);
    await app.post('/me/password', change, token);
    const { text, html } = await app.nextEmail(email);
    expect(text).toContain(`- Nightly report (${kept.client_secret.slice(0, 16)}…)`);
    for (const form of [text, html]) expect(form).not.toContain(kept.client_secret.slice(0, 30));
    expect(text).not.toContain('Old report');
  });

  test('revoke a key once if several of them are concurrent', async () => {
    const account = await owner();
    const { id } = await newKey(account.token);
    const { token: link } = { token: await linkOf(account.email, '/forgot-password') };
    const { token: admin } = await app.admin();
    await Promise.all([
      app.post('/reset-password', { token: link, new_password: next }),
      app.post('/logout/all', { revoke_api_keys: true }, account.token),
      app.post(`/admin/users/${account.user.id}/logout`, { revoke_api_keys: true }, admin),
      app.call('delete', `/admin/users/${account.user.id}/api-keys/${id}`, { token: admin }),
      app.call('delete', `/api-keys/${id}`, { token: account.token }),
    ]);
    expect(await revocationsOf(account)).toHaveLength(1);
  });
});

describe('administrators', () => {
  const keysOf = ({ user }: Account, token: string, query = '') =>
    app.get(`/admin/users/${user.id}/api-keys${query}`, token);
  const revoke = ({ user }: Account, key: string, token: string) =>
    app.call('delete', `/admin/users/${user.id}/api-keys/${key}`, { token });
  const unknown = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';

  test('list the API keys of an account in pages, as its owner sees them', async () => {
    const [{ token }, account] = [await app.admin(), await owner()];
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) ids.unshift((await newKey(account.token)).id);
    const { body: all } = await keysOf(account, token);
    expect(all).toEqual(await listed(account.token));
    expect(JSON.stringify(all)).not.toContain('secret');
    const { body: first } = await keysOf(account, token, '?limit=2');
    const { body: second } = await keysOf(account, token, `?limit=2&cursor=${first.next_cursor}`);
    const pages = [first, second].map(({ api_keys: keys }) => keys.map((key: Key) => key.id));
    expect([pages, second.next_cursor]).toEqual([[ids.slice(0, 2), ids.slice(2)], null]);
  });

  test('get the same page for a key of another account as cursor as for one that does not exist', async () => {
    const [{ token }, account] = [await app.admin(), await owner()];
    const { id } = await newKey(account.token);
    app.clock.step(0.005);
    const foreign = (await newKey((await owner()).token)).id;
    const made = foreign.replace(/..$/, (end) => (end === '00' ? '01' : '00'));
    for (const cursor of [foreign, made])
      for (const list of [
        await keysOf(account, token, `?cursor=${cursor}`),
        await app.get(`/api-keys?cursor=${cursor}`, account.token),
      ])
        expect(list.body.api_keys.map((key: Key) => key.id)).toEqual([id]);
  });

  test('revoke an API key of an account, which is audited', async () => {
    const [admin, account] = [await app.admin(), await owner()];
    const { id, client_secret: secret } = await newKey(account.token);
    expect((await revoke(account, id, admin.token)).status).toBe(204);
    expect((await withKey(secret)).status).toBe(401);
    expect((await revoke(account, id, admin.token)).status).toBe(404);
    expect(await app.db.audit.events({ user_id: account.user.id, type: 'api_key.revoked' })).toMatchObject([
      { actor_id: admin.user.id, api_key_id: id, reason: null },
    ]);
  });

  test('get 404 for an unknown account, for a key of another account and for a malformed id', async () => {
    const [{ token }, account, other] = [await app.admin(), await owner(), await owner()];
    const { id, client_secret: secret } = await newKey(other.token);
    const absent = { ...account, user: { id: unknown } };
    for (const response of [
      await keysOf(absent, token),
      await keysOf({ ...account, user: { id: 'x' } }, token),
      await revoke(absent, id, token),
      await revoke(account, id, token),
      await revoke(account, unknown, token),
      await revoke(account, 'x', token),
    ])
      expect(response.body).toMatchObject({ status: 404, code: 'not_found' });
    expect((await withKey(secret)).status).toBe(200);
  });

  test('with the scopes of the role admin but not the role see the API keys of an administrator and cannot revoke them', async () => {
    await app.db.roles.define('deputy', adminScopes.split(' '));
    const [deputy, admin] = [await app.admin({ roles: ['deputy'] }), await app.admin()];
    const { id } = await app.apiKeyOf(admin, ['profile']);
    expect((await keysOf(admin, deputy.token)).body.api_keys).toMatchObject([{ id }]);
    expect((await revoke(admin, id, deputy.token)).body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect((await revoke(admin, id, admin.token)).status).toBe(204);
  });
});

test('only its owner and administrators can revoke it; others get 404', async () => {
  const [principal, other] = [await owner(), await owner()];
  const { id, client_secret: secret } = await newKey(other.token);
  const revoke = (token: string, key = id) => app.call('delete', `/api-keys/${key}`, { token });
  const [foreign, unknown] = [
    await revoke(principal.token),
    await revoke(principal.token, '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11'),
  ];
  expect([foreign.status, foreign.body.detail]).toEqual([unknown.status, unknown.body.detail]);
  expect(foreign.status).toBe(404);
  expect((await revoke(principal.token, 'no-id')).status).toBe(404);
  expect((await withKey(secret)).status).toBe(200);
  await grant(principal.user.id, 'admin');
  const { body } = await app.post('/login', { email: principal.email, password, scope: 'api-keys users:write' });
  expect((await revoke(body.access_token)).status).toBe(204);
  expect((await withKey(secret)).status).toBe(401);
});

test('a demoted administrator can revoke only their own keys', async () => {
  const [principal, other] = [await owner(), await owner()];
  const { id, client_secret: secret } = await newKey(other.token);
  await grant(principal.user.id, 'admin');
  const { body } = await app.post('/login', { email: principal.email, password, scope: 'api-keys users:write' });
  await demote(principal.user.id, 'admin');
  const own = await newKey(principal.token);
  const revoke = (key: string) => app.call('delete', `/api-keys/${key}`, { token: body.access_token });
  expect([(await revoke(id)).status, (await revoke(own.id)).status]).toEqual([404, 204]);
  expect([(await withKey(secret)).status, (await withKey(own.client_secret)).status]).toEqual([200, 401]);
});

test('keys are listed in pages, newest first', async () => {
  const { token } = await owner();
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) ids.unshift((await newKey(token)).id);
  const first = await listed(token, '?limit=2');
  const second = await listed(token, `?limit=2&cursor=${first.next_cursor}`);
  const third = await listed(token, `?limit=2&cursor=${second.next_cursor}`);
  const idsOf = ({ api_keys: keys }: { api_keys: Key[] }) => keys.map(({ id }) => id);
  expect([first, second, third].map(idsOf)).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  expect(third.next_cursor).toBeNull();
  expect((await app.get('/api-keys?cursor=x', token)).status).toBe(400);
});

test('operations that require the password also require it from an API key, and count wrong ones', async () => {
  const strict = await startApp({ LOCKOUT_ATTEMPTS: '2' });
  const { email } = await strict.register();
  const { body: login } = await strict.post('/login', { email, password, scope: 'profile api-keys' });
  const { body: key } = await strict.post('/api-keys', { name: 'k', scopes: ['profile'] }, login.access_token);
  const guess = () =>
    strict.call('post', '/me/delete', {
      body: { current_password: 'a guess' },
      headers: { 'x-api-key': key.client_secret },
    });
  expect([(await guess()).status, (await guess()).status, (await guess()).status]).toEqual([401, 401, 423]);
  await strict.close();
});

test('a migration makes a list readable again that contains a key from the year 10000', async () => {
  const name = '20261201090100_api_key_expiry';
  const service = await startApp();
  try {
    await service.db.server.forgetMigration(name);
    await service.sql.query('ALTER TABLE api_keys DROP CONSTRAINT api_keys_expiry_has_four_digits');
    const account = await service.register();
    const ids = [];
    for (const time of ['10000-01-01', 'infinity', '-infinity', '2099-01-01']) {
      const { id } = await service.apiKeyOf(account, ['profile']);
      await service.sql.query('UPDATE api_keys SET expires_at = $2 WHERE id = $1', [id, time]);
      ids.push(id);
    }
    const ownersToken = await service.tokenOf(account, 'api-keys');
    expect((await service.get('/api-keys', ownersToken)).status).toBe(500);

    expect(await applyMigrations(service.databaseUrl)).toEqual([name]);

    const { status, body } = await service.get('/api-keys', ownersToken);
    const times = (body.api_keys as Key[]).map((key) => [key.id, key['expires_at']]);
    expect([status, times.toReversed()]).toEqual([
      200,
      [
        [ids[0], '9999-12-30T00:00:00.000Z'],
        [ids[1], '9999-12-30T00:00:00.000Z'],
        [ids[2], '0001-01-01T00:00:00.000Z'],
        [ids[3], '2099-01-01T00:00:00.000Z'],
      ],
    ]);
  } finally {
    await service.close();
  }
});
