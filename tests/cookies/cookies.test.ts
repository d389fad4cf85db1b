import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { send } from '../http/wire.ts';
import { cookieName, from, httpsSettings, openPage, type Page, setCookieOf, setCookiesOf, spa } from './browser.ts';

jest.setTimeout(60_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp(httpsSettings);
});
afterAll(() => app.close());

const refresh = (page: Page, changed?: Record<string, string | undefined>) =>
  app.call('post', '/refresh', from(page, changed));
const logout = (page: Page, changed?: Record<string, string | undefined>) =>
  app.call('post', '/logout', from(page, changed));

const hasLiveSession = async ({ sessionId }: Page): Promise<boolean> =>
  (await app.db.sessions.get(sessionId)).revokedAt === null;

describe('the cookie transport', () => {
  test.each(['/register', '/login'])('of %s returns the refresh token only in the cookie', async (path) => {
    const { email } = await app.register();
    const body = { email: path === '/login' ? email : freshEmail(), password, transport: 'cookie' };
    const full = path === '/login' ? body : { ...body, display_name: 'Ada' };
    const response = await app.call('post', path, { body: full, headers: { origin: spa } });
    const cookie = setCookieOf(response);
    expect(cookie?.value).toMatch(/^ktr_[\w-]{91}$/);
    expect(response.body).not.toHaveProperty('refresh_token');
    expect(response.text).not.toContain('ktr_');
    expect(response.body).toMatchObject({ csrf_token: expect.stringMatching(/^[\w-]{43}$/), token_type: 'Bearer' });
    expect(cookie?.attributes).toEqual({
      path: '/',
      'max-age': String(response.body.refresh_expires_in),
      httponly: '',
      secure: '',
      samesite: 'Lax',
    });
    expect(response.headers['cache-control']).toBe('no-store');
  });

  test('is not the default: other responses have no cookie and no CSRF token', async () => {
    const { email } = await app.register();
    for (const transport of ['body', undefined]) {
      const response = await app.call('post', '/login', { body: { email, password, transport } });
      expect(setCookieOf(response)).toBeUndefined();
      expect(response.body).not.toHaveProperty('csrf_token');
      expect(response.body).toHaveProperty('refresh_token');
    }
  });

  test('of a login revokes the session of the overwritten cookie and no other', async () => {
    const [page, other] = [await openPage(app), await openPage(app)];
    const body = { email: other.email, password, transport: 'cookie' };
    const response = await app.call('post', '/login', {
      body,
      headers: { origin: spa, cookie: `${cookieName}=${page.cookie}` },
    });
    expect(response.status).toBe(200);
    expect((await refresh(page)).body).toMatchObject({ code: 'invalid_refresh_token', reason: 'revoked' });
    expect((await refresh(other)).status).toBe(200);
  });

  test('of a failed login does not revoke the session of the cookie', async () => {
    const page = await openPage(app);
    const body = { email: page.email, password: 'wrong', transport: 'cookie' };
    const response = await app.call('post', '/login', {
      body,
      headers: { origin: spa, cookie: `${cookieName}=${page.cookie}` },
    });
    expect([response.status, setCookieOf(response)]).toEqual([401, undefined]);
    expect((await refresh(page)).status).toBe(200);
  });
});

describe('a refresh with the cookie', () => {
  test('needs no body and replaces the cookie', async () => {
    const page = await openPage(app);
    const response = await refresh(page);
    expect(response.status).toBe(200);
    const next = setCookieOf(response);
    expect(next?.value).toMatch(/^ktr_[\w-]{91}$/);
    expect(next?.value).not.toBe(page.cookie);
    expect(response.text).not.toContain('ktr_');
    expect(response.body.csrf_token).toBe(page.csrfToken);
    expect((await refresh({ ...page, cookie: next?.value ?? '' })).status).toBe(200);
  });

  test('accepts the body {}', async () => {
    const page = await openPage(app);
    expect((await app.call('post', '/refresh', { ...from(page), body: {} })).status).toBe(200);
  });

  test('returns the same cookie to three concurrent tabs', async () => {
    const page = await openPage(app);
    const responses = await Promise.all([refresh(page), refresh(page), refresh(page)]);
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(responses.map((response) => setCookieOf(response)?.value)).size).toBe(1);
  });

  test('does not change the cookie if it is refused', async () => {
    const page = await openPage(app);
    await refresh(page);
    await app.db.sessions.age(31, page.sessionId);
    for (const stale of [page, { ...page, cookie: 'nonsense' }, { ...page, cookie: `ktr_${'A'.repeat(91)}` }]) {
      const response = await refresh(stale);
      expect([response.status, response.body.code]).toEqual([401, 'invalid_refresh_token']);
      expect(response.headers).not.toHaveProperty('set-cookie');
    }
  });

  test('returns 401 without a cookie, which tells the page that the user is logged out', async () => {
    const response = await refresh({ email: '', sessionId: '', cookie: '', csrfToken: 'x' }, { cookie: undefined });
    expect([response.status, response.body.code]).toEqual([401, 'invalid_refresh_token']);
  });

  test('returns 400 and rotates nothing if the body also contains a token', async () => {
    const [page, { refresh_token: token }] = [await openPage(app), await app.register()];
    const response = await app.call('post', '/refresh', { ...from(page), body: { refresh_token: token } });
    expect([response.status, response.body.code]).toEqual([400, 'validation_failed']);
    expect(response.body.errors).toEqual([{ path: 'refresh_token', message: expect.any(String) }]);
    expect((await app.db.sessions.get(page.sessionId)).generation).toBe(0);
    expect((await app.refresh(token)).status).toBe(200);
  });

  test('returns 400 without a cookie, a CSRF token and a token in the body', async () => {
    expect((await app.call('post', '/refresh')).status).toBe(400);
    const response = await app.call('post', '/refresh', { body: {} });
    expect([response.status, response.body.errors]).toEqual([
      400,
      [{ path: 'refresh_token', message: expect.any(String) }],
    ]);
  });
});

describe('a request with the cookie and an empty body', () => {
  const json = 'application/json';
  const kinds: [description: string, type: string | undefined, chunked: boolean][] = [
    ['without a type', undefined, false],
    ['of JSON', json, false],
    ['of JSON; charset=utf-8;', `${json}; charset=utf-8;`, false],
    ['of text', 'text/plain;charset=UTF-8', false],
    ['of a form', 'application/x-www-form-urlencoded', false],
    ['in chunks', undefined, true],
    ['of JSON in chunks', json, true],
    ['of text in chunks', 'text/plain', true],
  ];

  test.each(kinds)('%s is accepted by /refresh and /logout', async (_, type, chunked) => {
    const page = await openPage(app);
    const headers = { ...from(page).headers, ...(type === undefined ? {} : { 'content-type': type }) };
    const post = (path: string) => send(app.baseUrl, path, { method: 'POST', body: '', chunked, headers });
    expect((await post('/refresh')).status).toBe(200);
    expect((await post('/logout')).status).toBe(204);
    expect(await hasLiveSession(page)).toBe(false);
  });

  test.each([false, true])(
    'is different from a body with another type, which returns 415 (chunked: %s)',
    async (chunked) => {
      const page = await openPage(app);
      for (const type of [undefined, 'text/plain', json + '; charset=utf-16']) {
        const headers = { ...from(page).headers, ...(type === undefined ? {} : { 'content-type': type }) };
        const { status } = await send(app.baseUrl, '/refresh', { method: 'POST', body: '{}', chunked, headers });
        expect([type, status]).toEqual([type, 415]);
      }
      expect((await app.db.sessions.get(page.sessionId)).generation).toBe(0);
    },
  );

  test.each(['null', '""', ' ', '[]'])('is different from the body %s, which returns 400', async (body) => {
    const headers = { ...from(await openPage(app)).headers, 'content-type': json };
    expect((await send(app.baseUrl, '/refresh', { method: 'POST', body, headers })).status).toBe(400);
  });
});

test('an empty cookie counts as missing: a token in the body is accepted beside it', async () => {
  const { refresh_token: token } = await app.register();
  const headers = { origin: spa, cookie: `${cookieName}=` };
  const response = await app.call('post', '/refresh', { headers, body: { refresh_token: token } });
  expect(response.status).toBe(200);
  expect((await app.call('post', '/refresh', { headers, body: {} })).status).toBe(400);
});

test('an empty token in the body counts as missing beside the cookie', async () => {
  const page = await openPage(app);
  expect((await app.call('post', '/refresh', { ...from(page), body: { refresh_token: '' } })).status).toBe(200);
});

test('a percent-encoded cookie is not decoded: a token has one encoding', async () => {
  const page = await openPage(app);
  const response = await refresh({ ...page, cookie: page.cookie.replace('ktr_', '%6Btr_') });
  expect([response.status, response.body.code]).toEqual([401, 'invalid_refresh_token']);
  expect((await refresh(page)).status).toBe(200);
});

describe('a logout with the cookie', () => {
  const deleted = {
    value: '',
    attributes: { 'max-age': '0', path: '/', httponly: '', secure: '', samesite: 'Lax' },
  };

  test('revokes the session and deletes only its own cookie', async () => {
    const page = await openPage(app);
    const response = await logout(page);
    expect(response.status).toBe(204);
    expect(response.headers).not.toHaveProperty('clear-site-data');
    expect(setCookieOf(response)).toEqual(deleted);
    expect(await hasLiveSession(page)).toBe(false);
    expect((await refresh(page)).body).toMatchObject({ reason: 'revoked' });
  });

  test('deletes the cookie also for a spent or invalid cookie', async () => {
    const page = await openPage(app);
    await logout(page);
    for (const cookie of [page.cookie, 'nonsense']) {
      const response = await logout({ ...page, cookie });
      expect([response.status, setCookieOf(response)]).toEqual([204, deleted]);
    }
  });

  test('everywhere deletes only its own cookie of the page that requests it', async () => {
    const page = await openPage(app);
    const { body } = await refresh(page);
    const options = from(page);
    const response = await app.call('post', '/logout/all', {
      ...options,
      token: (body as { access_token: string }).access_token,
    });
    expect([response.status, setCookieOf(response)]).toEqual([204, deleted]);
    expect(response.headers).not.toHaveProperty('clear-site-data');
    expect(await hasLiveSession(page)).toBe(false);
  });

  test('does not delete the cookie if the token is in the body', async () => {
    const { refresh_token: token } = await app.register();
    const response = await app.post('/logout', { refresh_token: token });
    expect([response.status, response.headers['set-cookie']]).toEqual([204, undefined]);
  });
});

describe('GET /csrf', () => {
  const csrf = (page: Page, changed?: Record<string, string | undefined>) =>
    app.call('get', '/csrf', from(page, changed));

  test('returns the CSRF token of the session, also after a rotation', async () => {
    const page = await openPage(app);
    const first = await csrf(page, { 'x-csrf-token': undefined });
    expect([first.status, first.body]).toEqual([200, { csrf_token: page.csrfToken }]);
    expect(first.headers['cache-control']).toBe('no-store');
    const cookie = setCookieOf(await refresh(page))?.value ?? '';
    expect((await csrf({ ...page, cookie })).body).toEqual({ csrf_token: page.csrfToken });
  });

  test('returns different tokens for different sessions', async () => {
    const [one, other] = [await openPage(app), await openPage(app)];
    expect(one.csrfToken).not.toBe(other.csrfToken);
  });

  test.each([
    ['no cookie', { cookie: undefined }],
    ['a forged cookie', { cookie: `${cookieName}=ktr_${'A'.repeat(91)}` }],
    ['a cookie with another name', { cookie: `refresh_token=ktr_${'A'.repeat(91)}` }],
  ])('returns 401 with %s', async (_, changed) => {
    expect((await csrf(await openPage(app), changed)).status).toBe(401);
  });

  test('needs no Origin for a page of the service, because browsers omit it', async () => {
    const page = await openPage(app);
    expect((await csrf(page, { origin: undefined, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  });

  test.each([
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['an opaque origin', { origin: 'null' }],
    ['no origin', { origin: undefined }],
    ['a script element on another site', { origin: undefined, 'sec-fetch-site': 'cross-site' }],
    ['a script element on the same site', { origin: undefined, 'sec-fetch-site': 'same-site' }],
  ])('returns 403 for %s', async (_, changed) => {
    const response = await csrf(await openPage(app), changed);
    expect([response.status, response.body.code]).toEqual([403, 'csrf_failed']);
    expect(response.headers['access-control-allow-origin']).not.toBe(changed.origin ?? '');
  });
});

describe('a forged request', () => {
  const forgeries: [string, Record<string, string | undefined>][] = [
    ['from a foreign origin', { origin: 'https://evil.example' }],
    ['from a sandboxed page', { origin: 'null' }],
    ['without an origin', { origin: undefined }],
    ['from an origin that starts with an allowed one', { origin: `${spa}.evil.example` }],
    ['from an allowed host over http', { origin: 'http://app.example.com' }],
    ['that the browser marks as cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['without the CSRF token', { 'x-csrf-token': undefined }],
    ['with an empty CSRF token', { 'x-csrf-token': '' }],
    ['with an invented CSRF token', { 'x-csrf-token': Buffer.alloc(32, 1).toString('base64url') }],
    ['with a malformed CSRF token', { 'x-csrf-token': '=' }],
  ];

  test.each(forgeries)('%s returns 403, rotates nothing and revokes nothing', async (_, changed) => {
    const page = await openPage(app);
    for (const call of [refresh, logout]) {
      const response = await call(page, changed);
      expect([response.status, response.body.code]).toEqual([403, 'csrf_failed']);
      expect(response.headers).not.toHaveProperty('set-cookie');
    }
    expect(await hasLiveSession(page)).toBe(true);
    expect((await refresh(page)).status).toBe(200);
  });

  test('with the CSRF token of another session returns 403', async () => {
    const [page, thief] = [await openPage(app), await openPage(app)];
    expect((await refresh(page, { 'x-csrf-token': thief.csrfToken })).status).toBe(403);
  });

  test.each(['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x'])(
    'with the simple content type %s creates no session',
    async (type) => {
      const { email } = await app.register();
      const response = await fetch(`${app.baseUrl}/login`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: JSON.stringify({ email, password, transport: 'cookie' }),
      });
      expect([response.status, response.headers.get('set-cookie')]).toEqual([415, null]);
    },
  );

  test.each([
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['a sandboxed page', { origin: 'null' }],
    ['another site', { 'sec-fetch-site': 'cross-site' }],
  ])('from %s gets no cookie from a login or registration and creates no account', async (_, headers) => {
    const [{ email }, fresh] = [await app.register(), freshEmail()];
    const login = await app.call('post', '/login', { body: { email, password, transport: 'cookie' }, headers });
    const body = { email: fresh, password, display_name: 'Eve', transport: 'cookie' };
    const register = await app.call('post', '/register', { body, headers });
    for (const response of [login, register])
      expect([response.status, response.body.code, setCookieOf(response)]).toEqual([403, 'csrf_failed', undefined]);
    expect((await app.login(fresh)).status).toBe(401);
  });
});

test('a CSRF token of a former master key is valid while the key is in MASTER_KEYS', async () => {
  const [former, latest] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64url'));
  const old = await startApp({ ...httpsSettings, MASTER_KEYS: `${former},${latest}` });
  const page = await openPage(old);
  const young = await startApp(
    { ...httpsSettings, MASTER_KEYS: `${latest},${former}` },
    { databaseUrl: old.databaseUrl },
  );
  try {
    expect((await young.call('post', '/refresh', from(page))).status).toBe(200);
  } finally {
    await young.close();
    await old.close();
  }
});

test('COOKIE_SAMESITE=none allows an app on another site if its origin is listed', async () => {
  const own = await startApp({ ...httpsSettings, COOKIE_SAMESITE: 'none' });
  try {
    const page = await openPage(own);
    const refreshed = await own.call('post', '/refresh', from(page, { 'sec-fetch-site': 'cross-site' }));
    expect([refreshed.status, setCookieOf(refreshed)?.attributes['samesite']]).toEqual([200, 'None']);
    const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    expect((await own.call('post', '/refresh', from(page, evil))).status).toBe(403);
  } finally {
    await own.close();
  }
});

test.each(['on', 'off'])(
  'with COOKIE_PARTITIONED=%s, a response that sets or deletes the cookie first deletes the other variant',
  async (setting) => {
    const own = await startApp({ ...httpsSettings, COOKIE_SAMESITE: 'none', COOKIE_PARTITIONED: setting });
    try {
      const page = await openPage(own);
      const deleted = { path: '/', httponly: '', secure: '', samesite: 'None', 'max-age': '0' };
      const stale = { value: '', attributes: setting === 'on' ? deleted : { ...deleted, partitioned: '' } };
      const credentials = { email: page.email, password, transport: 'cookie' };
      const responses = [
        await own.call('post', '/login', { body: credentials, headers: { origin: spa } }),
        await own.call('post', '/refresh', from(page)),
        await own.call('post', '/logout', from(page)),
      ];
      for (const response of responses) {
        const [first, second, ...others] = setCookiesOf(response);
        expect([response.status < 300, first, others]).toEqual([true, stale, []]);
        expect('partitioned' in (second?.attributes ?? {})).toBe(setting === 'on');
        expect(second?.value).toMatch(response === responses[2] ? /^$/ : /^ktr_/);
      }
    } finally {
      await own.close();
    }
  },
);

describe('COOKIE_PARTITIONED=on', () => {
  let own: TestApp;
  beforeAll(async () => {
    own = await startApp({ ...httpsSettings, COOKIE_SAMESITE: 'none', COOKIE_PARTITIONED: 'on' });
  });
  afterAll(() => own.close());

  const attributes = { path: '/', httponly: '', secure: '', samesite: 'None', partitioned: '' };

  test('sets, replaces and deletes a partitioned cookie', async () => {
    const page = await openPage(own);
    const call = (path: string) => own.call('post', path, from(page, { 'sec-fetch-site': 'cross-site' }));
    expect(setCookieOf(await call('/refresh'))?.attributes).toEqual({ ...attributes, 'max-age': expect.any(String) });
    expect(setCookieOf(await call('/logout'))).toEqual({ value: '', attributes: { ...attributes, 'max-age': '0' } });
  });

  test('uses the newer of two cookies, because browsers keep the one from before the change', async () => {
    const [former, latest] = [await openPage(own), await openPage(own)];
    const cookie = `a=1; ${cookieName}=${former.cookie}; b=2; ${cookieName}=${latest.cookie}; c=3`;
    const response = await own.call('post', '/refresh', from(latest, { cookie }));
    expect([response.status, response.body.session_id]).toEqual([200, latest.sessionId]);
  });
});

test('over http the cookie is named refresh_token and is not Secure', async () => {
  const own = await startApp({ CORS_ORIGINS: 'http://localhost:5173' });
  try {
    const body = { email: freshEmail(), password, display_name: 'Ada', transport: 'cookie' };
    const origin = 'http://localhost:5173';
    const response = await own.call('post', '/register', { body, headers: { origin } });
    const cookie = setCookieOf(response, 'refresh_token');
    expect(cookie?.attributes).toMatchObject({ httponly: '', samesite: 'Lax', path: '/' });
    expect(cookie?.attributes).not.toHaveProperty('secure');
    const headers = {
      origin,
      cookie: `refresh_token=${cookie?.value}`,
      'x-csrf-token': response.body.csrf_token as string,
    };
    expect((await own.call('post', '/refresh', { headers })).status).toBe(200);
  } finally {
    await own.close();
  }
});

test('requests from foreign pages do not exhaust the refresh limit', async () => {
  const own = await startApp({ ...httpsSettings, COOKIE_SAMESITE: 'none', RATE_LIMIT_REFRESH: '2/1m' });
  try {
    const page = await openPage(own);
    const forged = from(page, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' });
    const statuses: number[] = [];
    for (let times = 0; times < 4; times += 1) statuses.push((await own.call('post', '/refresh', forged)).status);
    expect(statuses).toEqual([403, 403, 403, 403]);
    expect((await own.call('post', '/refresh', from(page))).status).toBe(200);
  } finally {
    await own.close();
  }
});
