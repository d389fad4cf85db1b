import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { type Account, freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { send } from '../http/wire.ts';
import type { ApiKey } from '../support/builders.ts';
import { basic, errorOf, type Parameters, postForm } from '../support/oauth.ts';

jest.setTimeout(60_000);

let app: TestApp;
let ada: Account;
let key: ApiKey;
beforeAll(async () => {
  app = await startApp();
  ada = await app.register();
  key = await app.apiKeyOf(ada, ['profile', 'sessions']);
});
afterAll(() => app.close());

const token = (form: Parameters | string, headers: Record<string, string> = {}) =>
  postForm(app, '/token', form, headers);
const refresh = (refreshToken: string, more: Parameters = {}) =>
  token({ grant_type: 'refresh_token', refresh_token: refreshToken, ...more });
const clientCredentials = { grant_type: 'client_credentials' };
const asKey = ({ client_id: id, client_secret: secret } = key) => basic(id, secret);
const passwordForm = (more: Parameters = {}) => ({ grant_type: 'password', username: ada.email, password, ...more });

describe('the request to /token', () => {
  test('must be a POST, and parameters in the URL are ignored', async () => {
    const query = new URLSearchParams(passwordForm()).toString();
    const get = await send(app.baseUrl, `/token?${query}`);
    expect([get.status, get.headers.allow]).toEqual([405, 'POST, OPTIONS']);
    expect(errorOf(await postForm(app, `/token?${query}`, ''))).toEqual([400, 'invalid_request']);
  });

  test.each(['application/json', 'text/plain', 'multipart/form-data; boundary=x'])('cannot be %s', async (type) => {
    expect(errorOf(await token(passwordForm(), { 'content-type': type }))).toEqual([400, 'invalid_request']);
  });

  test.each<[title: string, form: string, error: string]>([
    ['an empty body', '', 'invalid_request'],
    ['no grant type', 'username=a', 'invalid_request'],
    ['an empty grant type', 'grant_type=', 'invalid_request'],
    ['a grant type twice', 'grant_type=password&grant_type=password', 'invalid_request'],
    ['a scope twice', 'grant_type=refresh_token&refresh_token=x&scope=profile&scope=sessions', 'invalid_request'],
    ['a scope twice, once empty', 'grant_type=refresh_token&refresh_token=x&scope=&scope=sessions', 'invalid_request'],
    ['an incomplete percent-encoding', 'grant_type=%zz', 'invalid_request'],
    ['an unknown grant type', 'grant_type=authorization_code', 'unsupported_grant_type'],
    ['a grant type in capitals', 'grant_type=PASSWORD', 'unsupported_grant_type'],
    ['a hostile grant type', 'grant_type=__proto__', 'unsupported_grant_type'],
    ['no username', 'grant_type=password&password=x', 'invalid_request'],
    ['an empty username', 'grant_type=password&username=&password=x', 'invalid_request'],
    ['no password', 'grant_type=password&username=a%40example.com', 'invalid_request'],
    ['an empty password', 'grant_type=password&username=a%40example.com&password=', 'invalid_request'],
    ['a malformed username', 'grant_type=password&username=ada&password=x', 'invalid_grant'],
    ['a password with NUL', 'grant_type=password&username=a%40example.com&password=%00', 'invalid_grant'],
    ['no refresh token', 'grant_type=refresh_token', 'invalid_request'],
    ['an empty refresh token', 'grant_type=refresh_token&refresh_token=', 'invalid_request'],
    ['a malformed refresh token', 'grant_type=refresh_token&refresh_token=ktr_x', 'invalid_grant'],
    ['a malformed scope', 'grant_type=refresh_token&refresh_token=x&scope=a%22b', 'invalid_scope'],
    ['a malformed scope and no grant type', 'scope=a%22b', 'invalid_request'],
    ['another client', 'grant_type=refresh_token&refresh_token=x&client_id=other', 'invalid_client'],
    [
      'a secret of the first party',
      'grant_type=password&username=a&password=b&client_id=first-party&client_secret=c',
      'invalid_client',
    ],
    ['a secret without a client', 'grant_type=client_credentials&client_secret=c', 'invalid_request'],
    ['a client without a secret', 'grant_type=client_credentials&client_id=first-party', 'invalid_client'],
    ['no client', 'grant_type=client_credentials', 'invalid_client'],
    ['an empty client', 'grant_type=client_credentials&client_id=&client_secret=', 'invalid_client'],
  ])('with %s (%s) returns %s', async (_, form, error) => {
    const response = await token(form);
    expect(errorOf(response)).toEqual([error === 'invalid_client' ? 401 : 400, error]);
    expect(response.headers).not.toHaveProperty('www-authenticate');
  });

  test('is not reflected in errors', async () => {
    const hostile = encodeURIComponent('"\\é\r\n<b>canary');
    for (const form of [`grant_type=${hostile}`, `${hostile}=1&${hostile}=2`, `grant_type=password&scope=${hostile}`]) {
      const response = await token(form);
      errorOf(response);
      expect(JSON.stringify([response.headers, response.text])).not.toContain('canary');
    }
  });

  test('gets error descriptions that are complete without a problem document', async () => {
    for (const form of ['x=1&x=2', 'grant_type=x', 'grant_type=refresh_token&refresh_token=x', ''])
      expect((await token(form)).body.error_description).not.toMatch(/`|errors/);
  });

  test('can contain unknown and empty parameters, which are ignored', async () => {
    const response = await token(passwordForm({ scope: '', client_id: '', client_secret: '', resource: 'x', '': '' }));
    expect(response.status).toBe(200);
  });

  test('can repeat parameters that are not used, such as resource (RFC 8707)', async () => {
    const resources = 'resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example&audience=a&audience=b';
    const form = new URLSearchParams(passwordForm()).toString();
    expect((await token(`${resources}&${form}`)).status).toBe(200);
    for (const path of ['/revoke', '/introspect'])
      expect((await postForm(app, path, `${resources}&token=x`, asKey())).status).toBe(path === '/revoke' ? 200 : 403);
  });

  test.each(['charset=ISO-8859-1', 'charset="windows-1252"', ''])(
    'can be a form with the parameters "%s" if its characters are ASCII',
    async (parameters) => {
      const headers = { 'content-type': `application/x-www-form-urlencoded; ${parameters}` };
      expect((await token(passwordForm(), headers)).status).toBe(200);
      expect((await token(clientCredentials, { ...headers, ...asKey() })).status).toBe(200);
    },
  );

  test('gets an OAuth error for a body over 16 KiB', async () => {
    expect(errorOf(await token(passwordForm({ x: 'x'.repeat(17_000) })))).toEqual([400, 'invalid_request']);
  });
});

describe('password', () => {
  test('creates a session like /login', async () => {
    const { status, headers, body } = await token(passwordForm({ scope: 'profile' }));
    expect([status, headers['cache-control'], headers['pragma']]).toEqual([200, 'no-store', 'no-cache']);
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_token: expect.stringMatching(/^ktr_/),
      refresh_expires_in: expect.any(Number),
      scope: 'profile',
      session_id: expect.any(String),
    });
    const { exp = 0, iat = 0, ...claims } = decodeJwt(body.access_token);
    expect([exp - iat, claims.sub, claims['client_id']]).toEqual([900, ada.user.id, 'first-party']);
    expect((await app.get('/me', body.access_token)).status).toBe(200);
  });

  test.each([{ client_id: 'first-party' }, {}])(
    'accepts the public client %j and HTTP Basic without a secret',
    async (form) => {
      for (const headers of [{}, basic('first-party', ''), form.client_id ? {} : basic('', '')])
        expect((await token(passwordForm(form as Parameters), headers)).status).toBe(200);
    },
  );

  test('returns the same error for an unknown account, a wrong password and a disabled account', async () => {
    const disabled = await app.register();
    await app.sql.query('UPDATE users SET is_active = false WHERE id = $1', [disabled.user.id]);
    const responses = [
      await token(passwordForm({ password: 'not it' })),
      await token(passwordForm({ username: freshEmail() })),
      await token(passwordForm({ username: disabled.email })),
    ];
    expect(responses.map(errorOf)).toEqual(Array(3).fill([400, 'invalid_grant']));
    expect(new Set(responses.map(({ text }) => text)).size).toBe(1);
    const events = (await app.db.audit.events({ type: 'login' })).filter(({ outcome }) => outcome === 'failure');
    expect(events.map(({ reason }) => reason)).toEqual(['wrong_password', 'unknown_account', 'account_disabled']);
  });

  test('returns invalid_scope for scopes that the user does not have', async () => {
    expect(errorOf(await token(passwordForm({ scope: 'users:write' })))).toEqual([400, 'invalid_scope']);
  });

  test('shares its lockout with /login and returns temporarily_unavailable during it', async () => {
    const own = await startApp({ LOCKOUT_ATTEMPTS: '2' });
    const { email } = await own.register();
    const attempt = (secret: string) =>
      postForm(own, '/token', { grant_type: 'password', username: email, password: secret });
    expect(errorOf(await attempt('no'))).toEqual([400, 'invalid_grant']);
    expect((await own.login(email, 'no')).status).toBe(401);
    const locked = await attempt(password);
    expect(errorOf(locked)).toEqual([423, 'temporarily_unavailable']);
    expect(Number(locked.headers['retry-after'])).toBeGreaterThan(0);
    expect((await own.login(email)).status).toBe(423);
    await own.close();
  });

  test('returns invalid_grant for an unverified email address if verification is required', async () => {
    const own = await startApp({ EMAIL_VERIFICATION: 'required' });
    const email = freshEmail();
    await own.post('/register', { email, password, display_name: 'Ada' });
    const response = await postForm(own, '/token', { grant_type: 'password', username: email, password });
    expect(errorOf(response)).toEqual([400, 'invalid_grant']);
    await own.close();
  });

  test('is unsupported and not in the metadata unless PASSWORD_GRANT is on', async () => {
    const own = await startApp({ PASSWORD_GRANT: 'off' });
    const response = await postForm(own, '/token', { grant_type: 'password', username: 'a@example.com', password });
    expect(errorOf(response)).toEqual([400, 'unsupported_grant_type']);
    const { body } = await own.get('/.well-known/oauth-authorization-server');
    expect(body.grant_types_supported).toEqual(['refresh_token', 'client_credentials']);
    const { components, paths } = (await own.get('/openapi.json')).body;
    expect(components.securitySchemes).not.toHaveProperty('oauth2');
    expect(JSON.stringify(paths)).not.toContain('"oauth2"');
    await own.close();
  });
});

describe('refresh_token', () => {
  test('rotates the same session as /refresh', async () => {
    const { refresh_token: first, session_id: id } = await app.register();
    const second = await refresh(first);
    expect(second.body).toMatchObject({ session_id: id, token_type: 'Bearer', scope: 'profile sessions' });
    expect(second.body.refresh_token).not.toBe(first);
    const third = await app.refresh(second.body.refresh_token);
    expect(third.body.session_id).toBe(id);
    expect((await refresh(first)).body.refresh_token).toBe(third.body.refresh_token);
  });

  test('twenty concurrent requests return the same refresh token', async () => {
    const { refresh_token: first } = await app.register();
    const responses = await Promise.all(Array.from({ length: 20 }, () => refresh(first)));
    expect(new Set(responses.map(({ body }) => body.refresh_token)).size).toBe(1);
  });

  test('returns invalid_grant for a token reused after its grace period, and ends the session', async () => {
    const account = await app.register();
    const { body } = await refresh(account.refresh_token);
    await app.sql.query("UPDATE sessions SET turned_at = ARRAY[now() - interval '1 hour'] WHERE id = $1", [
      account.session_id,
    ]);
    expect(errorOf(await refresh(account.refresh_token, { scope: 'users:write' }))).toEqual([400, 'invalid_grant']);
    expect(errorOf(await refresh(body.refresh_token))).toEqual([400, 'invalid_grant']);
    expect((await app.get('/me', body.access_token)).status).toBe(401);
  });

  test.each(['expired', 'revoked'])('returns invalid_grant for a session that is %s', async (how) => {
    const account = await app.register();
    const ended =
      how === 'expired' ? "expires_at = now() - interval '1 s'" : "revoked_at = now(), revoked_reason = 'logout'";
    await app.sql.query(`UPDATE sessions SET ${ended} WHERE id = $1`, [account.session_id]);
    expect(errorOf(await refresh(account.refresh_token))).toEqual([400, 'invalid_grant']);
  });

  test('narrows the scope of one access token and not of the next', async () => {
    const { refresh_token: first } = await app.register();
    const narrow = await refresh(first, { scope: 'profile' });
    expect(narrow.body.scope).toBe('profile');
    expect(decodeJwt(narrow.body.access_token)['scope']).toBe('profile');
    expect((await app.get('/sessions', narrow.body.access_token)).status).toBe(403);
    const full = await refresh(narrow.body.refresh_token);
    expect(full.body.scope).toBe('profile sessions');
    expect((await refresh(full.body.refresh_token, { scope: 'sessions profile' })).body.scope).toBe('profile sessions');
  });

  test.each(['profile api-keys', 'users:write', 'api-keys', 'unknown'])(
    'refuses the scope %s, which exceeds the grant, and does not spend the token',
    async (scope) => {
      const account = await app.register();
      const row = async () =>
        (await app.sql.query('SELECT generation, turned_at FROM sessions WHERE id = $1', [account.session_id])).rows;
      const before = await row();
      expect(errorOf(await refresh(account.refresh_token, { scope }))).toEqual([400, 'invalid_scope']);
      expect(await row()).toEqual(before);
      expect((await refresh(account.refresh_token)).status).toBe(200);
    },
  );

  test('keeps the scope of a narrowed login', async () => {
    const { body } = await token(passwordForm({ scope: 'profile' }));
    expect(errorOf(await refresh(body.refresh_token, { scope: 'sessions' }))).toEqual([400, 'invalid_scope']);
    expect((await refresh(body.refresh_token)).body.scope).toBe('profile');
  });

  test('does not accept the client credentials of an API key', async () => {
    const { refresh_token: first } = await app.register();
    const response = await token({ grant_type: 'refresh_token', refresh_token: first }, asKey());
    expect(errorOf(response)).toEqual([401, 'invalid_client']);
    expect((await refresh(first)).status).toBe(200);
  });
});

describe('client_credentials', () => {
  test.each([
    ['HTTP Basic', () => token(clientCredentials, asKey())],
    [
      'HTTP Basic, with its id in the body too',
      () => token({ ...clientCredentials, client_id: key.client_id }, asKey()),
    ],
    ['the body', () => token({ ...clientCredentials, client_id: key.client_id, client_secret: key.client_secret })],
  ])('returns an access token and no refresh token, by %s', async (_, call) => {
    const { status, headers, body } = await call();
    expect([status, headers['cache-control'], headers['pragma']]).toEqual([200, 'no-store', 'no-cache']);
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'profile sessions',
    });
    expect(decodeJwt(body.access_token)).toMatchObject({ sub: key.client_id, client_id: key.client_id });
    expect((await app.get('/me', body.access_token)).body.email).toBe(ada.email);
  });

  test('decodes any percent-encoding of id and secret', async () => {
    const encode = (text: string) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('');
    const pair = `${encode(key.client_id)}:${encode(key.client_secret)}`;
    const headers = { authorization: `basic  ${Buffer.from(pair).toString('base64')}` };
    expect((await token(clientCredentials, headers)).status).toBe(200);
  });

  test('narrows the scope, omits scopes that the key does not have, and returns invalid_scope if none remains', async () => {
    expect((await token({ ...clientCredentials, scope: 'profile users:write' }, asKey())).body.scope).toBe('profile');
    expect(errorOf(await token({ ...clientCredentials, scope: 'users:write' }, asKey()))).toEqual([
      400,
      'invalid_scope',
    ]);
  });

  const raw = (text: string) => ({ authorization: `Basic ${Buffer.from(text, 'latin1').toString('base64')}` });
  test.each<[title: string, headers: () => Record<string, string>]>([
    ['a wrong secret', () => basic(key.client_id, `${key.client_secret.slice(0, -1)}x`)],
    ['no secret', () => basic(key.client_id, '')],
    ['no id', () => basic('', key.client_secret)],
    ['the id of the list', () => basic(key.id, key.client_secret)],
    ['the id of another key', () => basic('key_0197a1b0-7a11-7d02-8f4e-2c9b1d3e4f50', key.client_secret)],
    ['no colon', () => raw('abc')],
    ['an incomplete percent-encoding', () => raw('a:%zz')],
    ['invalid UTF-8', () => raw('a:\xff')],
    ['invalid base64', () => ({ authorization: 'Basic ***' })],
    ['no credentials', () => ({ authorization: 'Basic' })],
    ['another scheme', () => ({ authorization: `Bearer ${ada.access_token}` })],
  ])('returns 401 with a challenge for %s', async (_, headers) => {
    const response = await token(clientCredentials, headers());
    expect(errorOf(response)).toEqual([401, 'invalid_client']);
    expect(response.headers['www-authenticate']).toBe('Basic realm="keyturn"');
  });

  test('returns 401 without a challenge for a wrong secret in the body', async () => {
    const response = await token({ ...clientCredentials, client_id: key.client_id, client_secret: 'ktk_x' });
    expect(errorOf(response)).toEqual([401, 'invalid_client']);
    expect(response.headers).not.toHaveProperty('www-authenticate');
  });

  test('refuses two authentication methods, even if both are valid', async () => {
    const both = { ...clientCredentials, client_id: key.client_id, client_secret: key.client_secret };
    expect(errorOf(await token(both, asKey()))).toEqual([400, 'invalid_request']);
    expect(errorOf(await token({ ...clientCredentials, client_id: 'first-party' }, asKey()))).toEqual([
      400,
      'invalid_request',
    ]);
  });

  test('refuses two Authorization headers', async () => {
    const { authorization } = asKey();
    const { status, text } = await send(app.baseUrl, '/token', {
      method: 'POST',
      body: 'grant_type=client_credentials',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: [authorization, authorization] as never,
      },
    });
    expect([status, JSON.parse(text).error]).toEqual([400, 'invalid_request']);
  });

  test('depends on the key, its expiry, and its owner and their roles', async () => {
    const owner = await app.register();
    const own = await app.apiKeyOf(owner, ['profile']);
    const give = async () => (await token(clientCredentials, asKey(own))).status;
    expect(await give()).toBe(200);
    await app.sql.query('DELETE FROM user_roles WHERE user_id = $1', [owner.user.id]);
    expect(errorOf(await token(clientCredentials, asKey(own)))).toEqual([400, 'invalid_scope']);
    await app.sql.query("INSERT INTO user_roles (user_id, role) VALUES ($1, 'user')", [owner.user.id]);
    for (const [ended, again] of [
      ['UPDATE users SET is_active = false WHERE id = $1', 'UPDATE users SET is_active = true WHERE id = $1'],
      [
        'UPDATE api_keys SET expires_at = now() WHERE user_id = $1',
        'UPDATE api_keys SET expires_at = NULL WHERE user_id = $1',
      ],
    ] as const) {
      await app.sql.query(ended, [owner.user.id]);
      expect([ended, await give()]).toEqual([ended, 401]);
      await app.sql.query(again, [owner.user.id]);
      expect(await give()).toBe(200);
    }
    await app.sql.query('DELETE FROM api_keys WHERE user_id = $1', [owner.user.id]);
    expect(await give()).toBe(401);
  });

  test('a success and the secret of another client are audited, and forged secrets are not', async () => {
    const [own, other] = [await app.apiKeyOf(ada, ['profile']), await app.apiKeyOf(ada, ['profile'])];
    await token(clientCredentials, asKey(own));
    for (const secret of ['ktk_wrong', `${own.client_secret.slice(0, -1)}!`, other.client_secret])
      expect((await token(clientCredentials, basic(own.client_id, secret))).status).toBe(401);
    const events = (await app.db.audit.events({ type: 'client.authenticated' })).filter(
      ({ api_key_id: id }) => id === own.id,
    );
    expect(events).toMatchObject([
      { outcome: 'success', user_id: ada.user.id },
      { outcome: 'failure', reason: 'other_client', user_id: null },
    ]);
  });
});

describe('rate limits of /token', () => {
  let tight: TestApp;
  beforeAll(async () => {
    tight = await startApp({ RATE_LIMIT_LOGIN: '4/15m', RATE_LIMIT_REFRESH: '3/1m', TRUST_PROXY: '1' });
  });
  afterAll(() => tight.close());

  const from = (ip: string, form: Parameters, headers: Record<string, string> = {}) =>
    postForm(tight, '/token', form, { 'x-forwarded-for': ip, ...headers });

  test('wrong client secrets, the password grant and /login share one counter', async () => {
    const ip = '198.51.100.1';
    const wrong = { grant_type: 'password', username: freshEmail(), password: 'not it' };
    const results = [
      await from(ip, { grant_type: 'client_credentials' }, basic('key_x', 'ktk_x')),
      await postForm(tight, '/revoke', { token: 'x' }, { 'x-forwarded-for': ip, ...basic('key_x', 'ktk_x') }),
      await from(ip, wrong),
      await tight.call('post', '/login', {
        body: { email: freshEmail(), password: 'not it' },
        headers: { 'x-forwarded-for': ip },
      }),
    ];
    expect(results.map(({ status }) => status)).toEqual([401, 401, 400, 401]);
    const limited = await from(ip, wrong);
    expect(errorOf(limited)).toEqual([429, 'temporarily_unavailable']);
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
    expect(limited.headers['ratelimit']).toMatch(/^"login"; r=0/);
  });

  test('a form in a charset that cannot be read does not count', async () => {
    const ip = '198.51.101.4';
    const wrong = { grant_type: 'password', username: freshEmail(), password: 'caf\u00e9' };
    const latin1 = { 'content-type': 'application/x-www-form-urlencoded; charset=ISO-8859-1' };
    for (let i = 0; i < 6; i += 1) expect(errorOf(await from(ip, wrong, latin1))).toEqual([400, 'invalid_request']);
    const networks = (await tight.db.lockouts.all()).map(({ network }) => network);
    expect(networks).not.toContain('198.51.101.0/24');
    expect(errorOf(await from(ip, wrong))).toEqual([400, 'invalid_grant']);
  });

  test('unsupported grant types and missing parameters do not count', async () => {
    const ip = '198.51.100.2';
    for (let i = 0; i < 6; i += 1) {
      expect((await from(ip, { grant_type: 'nonsense' })).status).toBe(400);
      expect((await from(ip, { grant_type: 'password', username: freshEmail() })).status).toBe(400);
    }
    const wrong = { grant_type: 'password', username: freshEmail(), password: 'not it' };
    expect(errorOf(await from(ip, wrong))).toEqual([400, 'invalid_grant']);
  });

  test('an exhausted limit refuses invalid refresh tokens and accepts valid ones', async () => {
    const ip = '198.51.100.3';
    const forged = { grant_type: 'refresh_token', refresh_token: `ktr_${'A'.repeat(91)}` };
    for (let i = 0; i < 3; i += 1) expect(errorOf(await from(ip, forged))).toEqual([400, 'invalid_grant']);
    expect(errorOf(await from(ip, forged))).toEqual([429, 'temporarily_unavailable']);
    const { refresh_token: token } = await tight.register();
    expect((await from(ip, { grant_type: 'refresh_token', refresh_token: token })).status).toBe(200);
  });
});
