import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
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

/** An account with a token that may make keys. */
async function owner(scope = 'profile sessions api-keys'): Promise<Account & { token: string }> {
  const account = await app.register();
  const { body } = await app.post('/login', { email: account.email, password, scope });
  return { ...account, token: body.access_token };
}

const create = (token: string, wanted: object = {}) =>
  app.post('/api-keys', { name: 'Nightly report', scopes: ['profile'], ...wanted }, token);
const made = async (token: string, wanted: object = {}): Promise<Key> => (await create(token, wanted)).body as Key;
const withKey = (secret: string, path = '/me') => app.call('get', path, { headers: { 'x-api-key': secret } });
const listed = async (token: string, query = '') => (await app.get(`/api-keys${query}`, token)).body;
const grant = (userId: string, role: string) =>
  app.sql.query('INSERT INTO user_roles (user_id, role) VALUES ($1, $2)', [userId, role]);
const demote = (userId: string, role: string) =>
  app.sql.query('DELETE FROM user_roles WHERE user_id = $1 AND role = $2', [userId, role]);

test('the secret is shown once, and only its hash is kept', async () => {
  const { token, user } = await owner();
  const answer = await create(token, { expires_at: '2099-01-01T00:00:00+01:00' });
  expect(answer.status).toBe(201);
  expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' });
  const { client_secret: secret, ...key } = answer.body as Key;
  expect(key).toMatchObject({
    client_id: `key_${key.id}`,
    name: 'Nightly report',
    scopes: ['profile'],
    expires_at: '2098-12-31T23:00:00.000Z',
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

test('it calls for its owner, as far as its scopes go, and its last use is seen', async () => {
  const { token, email } = await owner();
  const { client_secret: secret } = await made(token);
  const me = await withKey(secret);
  expect(me.body).toMatchObject({ email });
  const refused = await withKey(secret, '/sessions');
  expect(refused.body).toMatchObject({ status: 403, code: 'insufficient_scope' });
  expect((await listed(token)).api_keys[0].last_used_at).toMatch(/^\d{4}-/);
});

test('to look it up, and to note that it was used, is one statement', async () => {
  const { token } = await owner();
  const { client_secret: secret } = await made(token);
  await withKey(secret);
  tap.reset();
  await withKey(secret);
  expect(tap.statements()).toHaveLength(2); // its own, and that of GET /me
});

test('a forged one costs no query, and looks like a revoked and an unknown one', async () => {
  const { token } = await owner();
  const key = await made(token);
  const secret = key.client_secret;
  const flipped = secret.slice(0, -1) + (secret.endsWith('A') ? 'Q' : 'A');
  tap.reset();
  const answers = [await withKey(flipped), await withKey(secret.replace('ktk_', 'kto_')), await withKey('')];
  expect(tap.statements()).toEqual([]);
  expect((await app.call('delete', `/api-keys/${key.id}`, { token })).status).toBe(204);
  answers.push(await withKey(secret));
  const seen = answers.map(({ status, body, headers }) => [status, body.code, headers['www-authenticate']]);
  for (const each of seen)
    expect(each).toEqual([401, 'invalid_access_token', 'Bearer realm="keyturn", error="invalid_token"']);
});

test('two credentials at once are refused', async () => {
  const { token } = await owner();
  const { client_secret: secret } = await made(token);
  const both = await app.call('get', '/me', { token, headers: { 'x-api-key': secret } });
  expect(both.body).toMatchObject({ status: 400, code: 'validation_failed' });
  expect(both.headers['www-authenticate']).toContain('error="invalid_request"');
});

describe('to make one', () => {
  test('needs the scope api-keys, asked for by name', async () => {
    const { access_token: usual } = await app.register();
    expect((await create(usual)).body).toMatchObject({ status: 403, code: 'insufficient_scope' });
  });

  test('needs a login of the last ten minutes', async () => {
    const { email } = await app.register();
    const { body } = await app.post('/login', { email, password, scope: 'profile api-keys' });
    app.clock.step(599);
    expect((await create(body.access_token)).status).toBe(201);
    app.clock.step(2);
    const answer = await create(body.access_token);
    expect(answer.body).toMatchObject({ status: 401, code: 'insufficient_user_authentication' });
    expect(answer.headers['www-authenticate']).toBe(
      'Bearer realm="keyturn", error="insufficient_user_authentication", max_age="600"',
    );
    app.clock.step(-601);
  });

  test('a refresh is no login', async () => {
    const { email } = await app.register();
    const { body } = await app.post('/login', { email, password, scope: 'profile api-keys' });
    await app.sql.query(`UPDATE sessions SET auth_time = auth_time - interval '11 minutes' WHERE id = $1`, [
      body.session_id,
    ]);
    const { body: refreshed } = await app.refresh(body.refresh_token);
    expect((await create(refreshed.access_token)).status).toBe(401);
  });

  test('gives no scope that the token lacks', async () => {
    const { token } = await owner('profile api-keys');
    const answer = await create(token, { scopes: ['profile', 'sessions', 'users:read'] });
    expect(answer.body).toMatchObject({ status: 403, code: 'insufficient_scope' });
    expect((await listed(token)).api_keys).toEqual([]);
  });

  test('names every fault', async () => {
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

  test('no key makes another, whatever its scopes', async () => {
    const { token } = await owner();
    const { client_secret: secret } = await made(token, { scopes: ['api-keys', 'profile'] });
    const answer = await app.call('post', '/api-keys', {
      body: { name: 'Heir', scopes: ['profile'] },
      headers: { 'x-api-key': secret },
    });
    expect(answer.body).toMatchObject({ status: 401, code: 'insufficient_user_authentication' });
  });

  test('of more at once than an account may have, 100 are made', async () => {
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

test('it shrinks with its owner, at once, and grows back no further than it was', async () => {
  const { user, email } = await app.register();
  await grant(user.id, 'admin');
  const { body } = await app.post('/login', { email, password, scope: 'profile sessions api-keys users:read' });
  const { client_secret: secret } = await made(body.access_token, { scopes: ['profile', 'sessions'] });
  await demote(user.id, 'admin');
  expect((await withKey(secret, '/sessions')).status).toBe(200);
  await demote(user.id, 'user');
  expect((await withKey(secret, '/sessions')).body).toMatchObject({ status: 403 });
  expect((await withKey(secret)).status).toBe(403);
  await grant(user.id, 'user');
  expect((await withKey(secret)).status).toBe(200);
});

test('it is suspended with its owner, ends with them, and expires', async () => {
  const { token, user } = await owner();
  const { client_secret: secret, id } = await made(token, { expires_at: '2099-01-01T00:00:00Z' });
  await app.sql.query('UPDATE users SET is_active = false WHERE id = $1', [user.id]);
  expect((await withKey(secret)).status).toBe(401);
  await app.sql.query('UPDATE users SET is_active = true WHERE id = $1', [user.id]);
  expect((await withKey(secret)).status).toBe(200);
  await app.sql.query(`UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = $1`, [id]);
  expect((await withKey(secret)).status).toBe(401);
  await app.sql.query('DELETE FROM users WHERE id = $1', [user.id]);
  expect((await app.sql.query('SELECT 1 FROM api_keys WHERE id = $1', [id])).rows).toEqual([]);
});

test('it outlives its owner’s sessions, and a change of password; a reset ends it', async () => {
  const { token, email } = await owner();
  const { client_secret: secret } = await made(token);
  const change = { current_password: password, new_password: 'a quieter mare and no battery' };
  await app.post('/me/password', change, token);
  await app.post('/logout/all', undefined, token);
  expect((await withKey(secret)).status).toBe(200);
  await app.mails();
  await app.post('/forgot-password', { email });
  const { token: link } = await app.nextMail(email);
  expect((await app.post('/reset-password', { token: link, new_password: password })).status).toBe(204);
  expect((await withKey(secret)).status).toBe(401);
});

test('somebody else’s key looks like none, and an administrator may revoke it', async () => {
  const [mine, theirs] = [await owner(), await owner()];
  const { id, client_secret: secret } = await made(theirs.token);
  const revoke = (token: string, key = id) => app.call('delete', `/api-keys/${key}`, { token });
  const [foreign, none] = [await revoke(mine.token), await revoke(mine.token, '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11')];
  expect([foreign.status, foreign.body.detail]).toEqual([none.status, none.body.detail]);
  expect(foreign.status).toBe(404);
  expect((await revoke(mine.token, 'no-id')).status).toBe(404);
  expect((await withKey(secret)).status).toBe(200);
  await grant(mine.user.id, 'admin');
  const { body } = await app.post('/login', { email: mine.email, password, scope: 'api-keys users:write' });
  expect((await revoke(body.access_token)).status).toBe(204);
  expect((await withKey(secret)).status).toBe(401);
});

test('an administrator who is one no more revokes their own, and nobody else’s, however fresh the token', async () => {
  const [mine, theirs] = [await owner(), await owner()];
  const { id, client_secret: secret } = await made(theirs.token);
  await grant(mine.user.id, 'admin');
  const { body } = await app.post('/login', { email: mine.email, password, scope: 'api-keys users:write' });
  await demote(mine.user.id, 'admin');
  const own = await made(mine.token);
  const revoke = (key: string) => app.call('delete', `/api-keys/${key}`, { token: body.access_token });
  expect([(await revoke(id)).status, (await revoke(own.id)).status]).toEqual([404, 204]);
  expect([(await withKey(secret)).status, (await withKey(own.client_secret)).status]).toEqual([200, 401]);
});

test('a list is paged, the newest first', async () => {
  const { token } = await owner();
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) ids.unshift((await made(token)).id);
  const first = await listed(token, '?limit=2');
  const second = await listed(token, `?limit=2&cursor=${first.next_cursor}`);
  const third = await listed(token, `?limit=2&cursor=${second.next_cursor}`);
  const idsOf = ({ api_keys: keys }: { api_keys: Key[] }) => keys.map(({ id }) => id);
  expect([first, second, third].map(idsOf)).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  expect(third.next_cursor).toBeNull();
  expect((await app.get('/api-keys?cursor=x', token)).status).toBe(400);
});

test('what asks for the password asks a key for it, too, and its wrong ones count', async () => {
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
