import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { type Account, startApp, type TestApp } from '../harness.ts';
import type { ApiKey } from '../support/builders.ts';
import { basic, errorOf, type Parameters, postForm } from '../support/oauth.ts';

jest.setTimeout(60_000);

const masterKeys = { MASTER_KEYS: Buffer.alloc(32, 9).toString('base64url') };
let app: TestApp;
let admin: Account;
let key: ApiKey;
let plain: ApiKey;
beforeAll(async () => {
  app = await startApp({ ...masterKeys, ISSUER: 'https://auth.example.com' });
  admin = await app.register();
  await app.db.roles.grant(admin, 'admin');
  key = await app.apiKeyOf(admin, ['tokens:introspect', 'profile']);
  plain = await app.apiKeyOf(admin, ['profile']);
});
afterAll(() => app.close());

const asKey = ({ client_id: id, client_secret: secret } = key) => basic(id, secret);
const introspect = (token: string, more: Parameters = {}, headers: Record<string, string> = asKey()) =>
  postForm(app, '/introspect', { token, ...more }, headers);
const tokenOf = async (of: ApiKey, scope = ''): Promise<string> =>
  (await postForm(app, '/token', { grant_type: 'client_credentials', scope }, asKey(of))).body.access_token;

const inactive = { active: false };
const bodyOf = async (token: string) => {
  const { status, headers, body } = await introspect(token);
  expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
  return body as Record<string, unknown>;
};

describe('introspection of valid tokens', () => {
  test('returns the claims of a session’s access token', async () => {
    const account = await app.register();
    const { iss, sub, aud, exp, iat, jti, client_id, scope, sid, auth_time } = decodeJwt(account.access_token);
    const claims = { iss, sub, aud, exp, iat, jti, client_id, scope, sid, auth_time };
    expect(await bodyOf(account.access_token)).toEqual({ active: true, token_type: 'Bearer', ...claims });
  });

  test('returns an API key’s access token without claims of a login', async () => {
    const token = await tokenOf(plain);
    const { iss, sub, aud, exp, iat, jti, client_id, scope } = decodeJwt(token);
    const claims = { iss, sub, aud, exp, iat, jti, client_id, scope };
    expect(await bodyOf(token)).toEqual({ active: true, token_type: 'Bearer', ...claims });
  });

  test('returns all granted scopes of the session for a refresh token', async () => {
    const account = await app.register();
    const narrow = await postForm(app, '/token', {
      grant_type: 'refresh_token',
      refresh_token: account.refresh_token,
      scope: 'profile',
    });
    const about = await bodyOf(narrow.body.refresh_token);
    expect(about).toEqual({
      active: true,
      client_id: 'first-party',
      sub: account.user.id,
      scope: 'profile sessions',
      exp: expect.any(Number),
    });
    expect(Math.abs(Number(about['exp']) - Date.now() / 1000 - 2_592_000)).toBeLessThan(60);
    app.clock.step(600); // the expiry is the one of the session, whatever the time of the process
    expect(await bodyOf(narrow.body.refresh_token)).toEqual(about);
    app.clock.step(-600);
    expect((await app.refresh(narrow.body.refresh_token)).status).toBe(200);
  });

  test('returns a spent refresh token as active within its grace period', async () => {
    const { refresh_token: token, session_id: id } = await app.register();
    await app.refresh(token);
    expect(await bodyOf(token)).toMatchObject({ active: true });
    await app.sql.query("UPDATE sessions SET turned_at = ARRAY[now() - interval '1 hour'] WHERE id = $1", [id]);
    expect(await bodyOf(token)).toEqual(inactive);
    // Introspection is not a use of the token, so nothing was revoked.
    const { rows } = await app.sql.query('SELECT revoked_at FROM sessions WHERE id = $1', [id]);
    expect(rows).toEqual([{ revoked_at: null }]);
  });

  test('ignores token_type_hint', async () => {
    for (const hint of ['access_token', 'refresh_token', 'pem'])
      expect((await introspect(admin.access_token, { token_type_hint: hint })).body.active).toBe(true);
  });
});

describe('introspection of invalid tokens returns only {"active": false}', () => {
  test.each(['garbage', 'ktr_x', 'kto_x', 'a.b.c', 'é'])('for %s', async (token) => {
    expect(await bodyOf(token)).toEqual(inactive);
  });

  test('for forged tokens and the secret of an API key', async () => {
    for (const token of [admin.refresh_token, admin.access_token])
      expect(await bodyOf(`${token.slice(0, -4)}AAAA`)).toEqual(inactive);
    expect(await bodyOf(plain.client_secret)).toEqual(inactive);
  });

  test('for a token of a service with the same signing keys and another audience', async () => {
    const settings = { ...masterKeys, ISSUER: 'https://auth.example.com', AUDIENCE: 'https://elsewhere.example' };
    const other = await startApp(settings, { databaseUrl: app.databaseUrl });
    const { access_token: foreign } = await other.register();
    expect(decodeJwt(foreign).aud).toBe('https://elsewhere.example');
    expect((await other.get('/me', foreign)).status).toBe(200);
    expect(await bodyOf(foreign)).toEqual(inactive);
    await other.close();
  });

  test('for an expired access token', async () => {
    const own = await startApp();
    const owner = await own.register();
    await own.db.roles.grant(owner, 'admin');
    const asker = await own.apiKeyOf(owner, ['tokens:introspect']);
    const about = () => postForm(own, '/introspect', { token: owner.access_token }, asKey(asker));
    own.clock.step(840);
    expect((await about()).body.active).toBe(true);
    own.clock.step(61);
    expect((await about()).body).toEqual(inactive);
    await own.close();
  });

  test.each<[title: string, end: (account: Account) => Promise<unknown>]>([
    ['a session after its logout', ({ refresh_token: token }) => app.post('/logout', { refresh_token: token })],
    [
      'an expired session',
      ({ session_id: id }) => app.sql.query('UPDATE sessions SET expires_at = now() WHERE id = $1', [id]),
    ],
    ['a disabled user', ({ user }) => app.sql.query('UPDATE users SET is_active = false WHERE id = $1', [user.id])],
    ['a deleted user', ({ user }) => app.sql.query('DELETE FROM users WHERE id = $1', [user.id])],
  ])('for both tokens of %s', async (_, end) => {
    const account = await app.register();
    expect(await bodyOf(account.access_token)).toMatchObject({ active: true });
    await end(account);
    expect(await bodyOf(account.access_token)).toEqual(inactive);
    expect(await bodyOf(account.refresh_token)).toEqual(inactive);
  });

  test.each([
    ['that was deleted', 'DELETE FROM api_keys WHERE id = $1'],
    ['that expired', 'UPDATE api_keys SET expires_at = now() WHERE id = $1'],
    ['that no longer has the scope', "UPDATE api_keys SET scopes = '{sessions}' WHERE id = $1"],
    [
      'whose owner was disabled',
      'UPDATE users SET is_active = false WHERE id = (SELECT user_id FROM api_keys WHERE id = $1)',
    ],
    [
      'whose owner has lost their roles',
      'DELETE FROM user_roles WHERE user_id = (SELECT user_id FROM api_keys WHERE id = $1)',
    ],
  ])('for the access token of an API key %s', async (_, end) => {
    const owner = await app.register();
    const own = await app.apiKeyOf(owner, ['profile', 'sessions']);
    const token = await tokenOf(own, 'profile');
    expect(await bodyOf(token)).toMatchObject({ active: true });
    await app.sql.query(end, [own.id]);
    expect(await bodyOf(token)).toEqual(inactive);
  });
});

test('introspection omits scopes that the user has lost', async () => {
  const account = await app.register();
  await app.db.roles.grant(account, 'admin');
  const { body } = await app.post('/login', {
    email: account.email,
    password: 'correct horse battery staple',
    scope: 'profile users:read',
  });
  expect(await bodyOf(body.access_token)).toMatchObject({ scope: 'profile users:read' });
  await app.sql.query("DELETE FROM user_roles WHERE user_id = $1 AND role = 'admin'", [account.user.id]);
  expect(await bodyOf(body.access_token)).toMatchObject({ active: true, scope: 'profile' });
});

describe('the caller of /introspect', () => {
  test('is an API key: by HTTP Basic, the body, X-API-Key or its access token', async () => {
    const { client_id, client_secret } = key;
    const ways: [Parameters, Record<string, string>][] = [
      [{}, asKey()],
      [{ client_id, client_secret }, {}],
      [{}, { 'x-api-key': client_secret }],
      [{}, { authorization: `Bearer ${await tokenOf(key)}` }],
    ];
    for (const [form, headers] of ways)
      expect([form, (await introspect(admin.access_token, form, headers)).body.active]).toEqual([form, true]);
  });

  test('must authenticate', async () => {
    const response = await introspect(admin.access_token, {}, {});
    expect(errorOf(response)).toEqual([401, 'invalid_client']);
    expect(response.headers['www-authenticate']).toBe('Basic realm="keyturn"');
    expect(errorOf(await introspect(admin.access_token, { client_id: 'first-party' }, {}))).toEqual([
      401,
      'invalid_client',
    ]);
  });

  test.each<[title: string, headers: () => Record<string, string>, error: string, challenge: RegExp]>([
    ['a wrong secret', () => basic(key.client_id, 'ktk_x'), 'invalid_client', /^Basic realm="keyturn"$/],
    ['a wrong X-API-Key', () => ({ 'x-api-key': 'ktk_x' }), 'invalid_token', /^Bearer .*error="invalid_token"/],
    ['an invalid token', () => ({ authorization: 'Bearer x' }), 'invalid_token', /^Bearer .*error="invalid_token"/],
    [
      'an administrator’s token',
      () => ({ authorization: `Bearer ${admin.access_token}` }),
      'insufficient_scope',
      /insufficient_scope/,
    ],
  ])('is refused with %s', async (_, headers, error, challenge) => {
    const response = await introspect(admin.access_token, {}, headers());
    expect(errorOf(response)).toEqual([error === 'insufficient_scope' ? 403 : 401, error]);
    expect(response.headers['www-authenticate']).toMatch(challenge);
  });

  test('cannot be a user, even with the scope', async () => {
    const { body } = await app.post('/login', {
      email: admin.email,
      password: 'correct horse battery staple',
      scope: 'tokens:introspect',
    });
    const response = await introspect(admin.access_token, {}, { authorization: `Bearer ${body.access_token}` });
    expect(errorOf(response)).toEqual([401, 'invalid_token']);
  });

  test('must have the scope, whatever the authentication method', async () => {
    const ways = [
      asKey(plain),
      { 'x-api-key': plain.client_secret },
      { authorization: `Bearer ${await tokenOf(plain)}` },
    ];
    for (const headers of ways) {
      const response = await introspect(admin.access_token, {}, headers);
      expect(errorOf(response)).toEqual([403, 'insufficient_scope']);
      expect(response.headers['www-authenticate']).toMatch(/scope="tokens:introspect"/);
    }
  });

  test('must use one authentication method', async () => {
    const { client_id, client_secret } = key;
    const two: [Parameters, Record<string, string>][] = [
      [{ client_id, client_secret }, asKey()],
      [{}, { ...asKey(), 'x-api-key': client_secret }],
      [{ client_id, client_secret }, { 'x-api-key': client_secret }],
    ];
    for (const [form, headers] of two)
      expect(errorOf(await introspect(admin.access_token, form, headers))).toEqual([400, 'invalid_request']);
  });

  test('returns invalid_request for a missing, empty or repeated token', async () => {
    for (const form of ['', 'token=', 'token=a&token=b'])
      expect(errorOf(await postForm(app, '/introspect', form, asKey()))).toEqual([400, 'invalid_request']);
  });
});
