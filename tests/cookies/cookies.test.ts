import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { cookieName, from, httpsSettings, openPage, type Page, setCookieOf, spa } from './browser.ts';

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

const lives = async (page: Page): Promise<boolean> => {
  const { rows } = await app.sql.query(
    'SELECT 1 FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE u.email = $1 AND s.revoked_at IS NULL',
    [page.email],
  );
  return rows.length > 0;
};

describe('a login with transport "cookie"', () => {
  test.each(['/register', '/login'])('%s puts the refresh token in the cookie and nowhere else', async (path) => {
    const { email } = await app.register();
    const body = { email: path === '/login' ? email : freshEmail(), password, transport: 'cookie' };
    const full = path === '/login' ? body : { ...body, display_name: 'Ada' };
    const answer = await app.call('post', path, { body: full, headers: { origin: spa } });
    const cookie = setCookieOf(answer);
    expect(cookie?.value).toMatch(/^ktr_[\w-]{91}$/);
    expect(answer.body).not.toHaveProperty('refresh_token');
    expect(answer.text).not.toContain('ktr_');
    expect(answer.body).toMatchObject({ csrf_token: expect.stringMatching(/^[\w-]{43}$/), token_type: 'Bearer' });
    expect(cookie?.attributes).toEqual({
      path: '/',
      'max-age': String(answer.body.refresh_expires_in),
      httponly: '',
      secure: '',
      samesite: 'Lax',
    });
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  test('with transport "body", or none, sets no cookie and tells no CSRF token', async () => {
    const { email } = await app.register();
    for (const transport of ['body', undefined]) {
      const answer = await app.call('post', '/login', { body: { email, password, transport } });
      expect(setCookieOf(answer)).toBeUndefined();
      expect(answer.body).not.toHaveProperty('csrf_token');
      expect(answer.body).toHaveProperty('refresh_token');
    }
  });

  test('ends the session of the cookie that it overwrites, and no other', async () => {
    const [page, other] = [await openPage(app), await openPage(app)];
    const body = { email: other.email, password, transport: 'cookie' };
    const answer = await app.call('post', '/login', {
      body,
      headers: { origin: spa, cookie: `${cookieName}=${page.cookie}` },
    });
    expect(answer.status).toBe(200);
    expect((await refresh(page)).body).toMatchObject({ code: 'invalid_refresh_token', reason: 'revoked' });
    expect((await refresh(other)).status).toBe(200);
  });

  test('a failed login leaves the session of the cookie alone', async () => {
    const page = await openPage(app);
    const body = { email: page.email, password: 'not it', transport: 'cookie' };
    const answer = await app.call('post', '/login', {
      body,
      headers: { origin: spa, cookie: `${cookieName}=${page.cookie}` },
    });
    expect([answer.status, setCookieOf(answer)]).toEqual([401, undefined]);
    expect((await refresh(page)).status).toBe(200);
  });
});

describe('a refresh by cookie', () => {
  test('needs no body, and moves the cookie on', async () => {
    const page = await openPage(app);
    const answer = await refresh(page);
    expect(answer.status).toBe(200);
    const next = setCookieOf(answer);
    expect(next?.value).toMatch(/^ktr_[\w-]{91}$/);
    expect(next?.value).not.toBe(page.cookie);
    expect(answer.text).not.toContain('ktr_');
    expect(answer.body.csrf_token).toBe(page.csrfToken);
    expect((await refresh({ ...page, cookie: next?.value ?? '' })).status).toBe(200);
  });

  test('takes {} as a body, too', async () => {
    const page = await openPage(app);
    expect((await app.call('post', '/refresh', { ...from(page), body: {} })).status).toBe(200);
  });

  test('of three tabs at once gives all of them the same cookie', async () => {
    const page = await openPage(app);
    const answers = await Promise.all([refresh(page), refresh(page), refresh(page)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(answers.map((answer) => setCookieOf(answer)?.value)).size).toBe(1);
  });

  test('that is refused never touches the cookie: the winner of a race keeps it', async () => {
    const page = await openPage(app);
    await refresh(page);
    await app.sql.query(
      "UPDATE sessions SET turned_at = ARRAY[clock_timestamp() - interval '31 s'] WHERE generation = 1",
    );
    for (const stale of [page, { ...page, cookie: 'nonsense' }, { ...page, cookie: `ktr_${'A'.repeat(91)}` }]) {
      const answer = await refresh(stale);
      expect([answer.status, answer.body.code]).toEqual([401, 'invalid_refresh_token']);
      expect(answer.headers).not.toHaveProperty('set-cookie');
      expect(answer.headers).not.toHaveProperty('clear-site-data');
    }
  });

  test('without a cookie is 401, so that the page knows that it is signed out', async () => {
    const answer = await refresh({ email: '', cookie: '', csrfToken: 'x' }, { cookie: undefined });
    expect([answer.status, answer.body.code]).toEqual([401, 'invalid_refresh_token']);
  });

  test('with a token in the body as well is 400, and turns neither', async () => {
    const [page, { refresh_token: token }] = [await openPage(app), await app.register()];
    const answer = await app.call('post', '/refresh', { ...from(page), body: { refresh_token: token } });
    expect([answer.status, answer.body.code]).toEqual([400, 'validation_failed']);
    expect(answer.body.errors).toEqual([{ path: 'refresh_token', message: expect.any(String) }]);
    const { rows } = await app.sql.query(
      'SELECT 1 FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE u.email = $1 AND generation > 0',
      [page.email],
    );
    expect(rows).toEqual([]);
    expect((await app.refresh(token)).status).toBe(200);
  });

  test('neither cookie nor token is 400, by the name of what is missing', async () => {
    expect((await app.call('post', '/refresh')).status).toBe(400);
    const answer = await app.call('post', '/refresh', { body: {} });
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [{ path: 'refresh_token', message: expect.any(String) }],
    ]);
  });
});

describe('a logout by cookie', () => {
  test('ends the session and takes the cookies of the site away', async () => {
    const page = await openPage(app);
    const answer = await logout(page);
    expect(answer.status).toBe(204);
    expect(answer.headers['clear-site-data']).toBe('"cookies"');
    expect(setCookieOf(answer)).toMatchObject({ value: '', attributes: { 'max-age': '0', path: '/', secure: '' } });
    expect(await lives(page)).toBe(false);
    expect((await refresh(page)).body).toMatchObject({ reason: 'revoked' });
  });

  test('of a cookie that is spent or unknown answers alike', async () => {
    const page = await openPage(app);
    await logout(page);
    for (const cookie of [page.cookie, 'nonsense']) {
      const answer = await logout({ ...page, cookie });
      expect([answer.status, answer.headers['clear-site-data']]).toEqual([204, '"cookies"']);
    }
  });

  test('everywhere takes the cookie of the page that calls, too', async () => {
    const page = await openPage(app);
    const { body } = await refresh(page);
    const options = from(page);
    const answer = await app.call('post', '/logout/all', {
      ...options,
      token: (body as { access_token: string }).access_token,
    });
    expect([answer.status, answer.headers['clear-site-data']]).toEqual([204, '"cookies"']);
    expect(await lives(page)).toBe(false);
  });

  test('by a token in the body clears nothing of the site', async () => {
    const { refresh_token: token } = await app.register();
    const answer = await app.post('/logout', { refresh_token: token });
    expect([answer.status, answer.headers['clear-site-data'], answer.headers['set-cookie']]).toEqual([
      204,
      undefined,
      undefined,
    ]);
  });
});

describe('GET /csrf', () => {
  const csrf = (page: Page, changed?: Record<string, string | undefined>) =>
    app.call('get', '/csrf', from(page, changed));

  test('gives the token of the session again, after a reload and over turns', async () => {
    const page = await openPage(app);
    const first = await csrf(page, { 'x-csrf-token': undefined });
    expect([first.status, first.body]).toEqual([200, { csrf_token: page.csrfToken }]);
    expect(first.headers['cache-control']).toBe('no-store');
    const cookie = setCookieOf(await refresh(page))?.value ?? '';
    expect((await csrf({ ...page, cookie })).body).toEqual({ csrf_token: page.csrfToken });
  });

  test('is another for another session', async () => {
    const [one, other] = [await openPage(app), await openPage(app)];
    expect(one.csrfToken).not.toBe(other.csrfToken);
  });

  test.each([
    ['no cookie', { cookie: undefined }],
    ['a cookie that is none of ours', { cookie: `${cookieName}=ktr_${'A'.repeat(91)}` }],
    ['the cookie of another name', { cookie: `refresh_token=ktr_${'A'.repeat(91)}` }],
  ])('with %s is 401', async (_, changed) => {
    expect((await csrf(await openPage(app), changed)).status).toBe(401);
  });

  test('a page of the service itself needs no Origin, which browsers leave out there', async () => {
    const page = await openPage(app);
    expect((await csrf(page, { origin: undefined, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  });

  test.each([
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['an opaque origin', { origin: 'null' }],
    ['no origin at all', { origin: undefined }],
    ['a script tag of another site', { origin: undefined, 'sec-fetch-site': 'cross-site' }],
    ['a script tag of the same site', { origin: undefined, 'sec-fetch-site': 'same-site' }],
  ])('for %s is 403 and tells nothing', async (_, changed) => {
    const answer = await csrf(await openPage(app), changed);
    expect([answer.status, answer.body.code]).toEqual([403, 'csrf_failed']);
    expect(answer.headers['access-control-allow-origin']).not.toBe(changed.origin ?? '');
  });
});

describe('a forged request', () => {
  const forgeries: [string, Record<string, string | undefined>][] = [
    ['of a foreign origin', { origin: 'https://evil.example' }],
    ['of a sandboxed page', { origin: 'null' }],
    ['without an origin', { origin: undefined }],
    ['of an origin that begins like ours', { origin: `${spa}.evil.example` }],
    ['of our origin over http', { origin: 'http://app.example.com' }],
    ['that the browser calls cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['without the CSRF token', { 'x-csrf-token': undefined }],
    ['with an empty CSRF token', { 'x-csrf-token': '' }],
    ['with a made-up CSRF token', { 'x-csrf-token': Buffer.alloc(32, 1).toString('base64url') }],
    ['with the CSRF token in other letters', { 'x-csrf-token': '=' }],
  ];

  test.each(forgeries)('%s turns nothing and ends nothing: 403', async (_, changed) => {
    const page = await openPage(app);
    for (const call of [refresh, logout]) {
      const answer = await call(page, changed);
      expect([answer.status, answer.body.code]).toEqual([403, 'csrf_failed']);
      expect(answer.headers).not.toHaveProperty('set-cookie');
    }
    expect(await lives(page)).toBe(true);
    expect((await refresh(page)).status).toBe(200);
  });

  test('with the CSRF token of another session is 403', async () => {
    const [page, thief] = [await openPage(app), await openPage(app)];
    expect((await refresh(page, { 'x-csrf-token': thief.csrfToken })).status).toBe(403);
  });

  test.each(['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x'])(
    'of the simple content type %s logs nobody in',
    async (type) => {
      const { email } = await app.register();
      const answer = await fetch(`${app.baseUrl}/login`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: JSON.stringify({ email, password, transport: 'cookie' }),
      });
      expect([answer.status, answer.headers.get('set-cookie')]).toEqual([415, null]);
    },
  );

  test.each([
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['a sandboxed page', { origin: 'null' }],
    ['another site', { 'sec-fetch-site': 'cross-site' }],
  ])('of %s has no cookie set by a login or a registration, and makes no account', async (_, headers) => {
    const [{ email }, fresh] = [await app.register(), freshEmail()];
    const login = await app.call('post', '/login', { body: { email, password, transport: 'cookie' }, headers });
    const body = { email: fresh, password, display_name: 'Eve', transport: 'cookie' };
    const register = await app.call('post', '/register', { body, headers });
    for (const answer of [login, register])
      expect([answer.status, answer.body.code, setCookieOf(answer)]).toEqual([403, 'csrf_failed', undefined]);
    expect((await app.login(fresh)).status).toBe(401);
  });
});

test('a CSRF token made under a former master key is good for as long as that key is known', async () => {
  const [former, newer] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64url'));
  const old = await startApp({ ...httpsSettings, MASTER_KEYS: `${former},${newer}` });
  const page = await openPage(old);
  const young = await startApp(
    { ...httpsSettings, MASTER_KEYS: `${newer},${former}` },
    { databaseUrl: old.databaseUrl },
  );
  try {
    expect((await young.call('post', '/refresh', from(page))).status).toBe(200);
  } finally {
    await young.close();
    await old.close();
  }
});

test('COOKIE_SAMESITE=none lets an app of another site in, if its origin is listed', async () => {
  const own = await startApp({ ...httpsSettings, COOKIE_SAMESITE: 'none' });
  try {
    const page = await openPage(own);
    const turned = await own.call('post', '/refresh', from(page, { 'sec-fetch-site': 'cross-site' }));
    expect([turned.status, setCookieOf(turned)?.attributes['samesite']]).toEqual([200, 'None']);
    const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    expect((await own.call('post', '/refresh', from(page, evil))).status).toBe(403);
  } finally {
    await own.close();
  }
});

test('in development over http the cookie is refresh_token, without Secure', async () => {
  const own = await startApp({ CORS_ORIGINS: 'http://localhost:5173' });
  try {
    const body = { email: freshEmail(), password, display_name: 'Ada', transport: 'cookie' };
    const origin = 'http://localhost:5173';
    const answer = await own.call('post', '/register', { body, headers: { origin } });
    const cookie = setCookieOf(answer, 'refresh_token');
    expect(cookie?.attributes).toMatchObject({ httponly: '', samesite: 'Lax', path: '/' });
    expect(cookie?.attributes).not.toHaveProperty('secure');
    const headers = {
      origin,
      cookie: `refresh_token=${cookie?.value}`,
      'x-csrf-token': answer.body.csrf_token as string,
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
