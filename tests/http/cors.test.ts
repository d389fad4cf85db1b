import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { password, startApp, type TestApp } from '../harness.ts';
import { productionSettings } from '../support/service.ts';

const [spa, other] = ['https://app.example.com', 'https://admin.example.com:8443'];
const webViews = ['capacitor://localhost', 'ionic://localhost', 'tauri://localhost'];
const extensions = [
  'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
  'moz-extension://0f7d1c2e-1111-4222-8333-944455556666',
  'safari-web-extension://E1F0B6A2-1111-4222-8333-944455556666',
];

let app: TestApp;
beforeAll(async () => {
  app = await startApp({
    CORS_ORIGINS: [spa, other, ...webViews, ...extensions].join(', '),
    CORS_ALLOWED_HEADERS: 'X-Tenant-Id, X-App',
  });
});
afterAll(() => app.close());

const corsOf = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')));

const requestFrom = async (path: string, origin: string | undefined, method: 'get' | 'post' = 'get') => {
  const headers: Record<string, string> = origin === undefined ? {} : { origin };
  const response = await app.call(method, path, { headers, ...(method === 'post' ? { body: {} } : {}) });
  return { ...response, cors: corsOf(response.headers), vary: String(response.headers['vary'] ?? '') };
};

const preflight = (path: string, origin: string, requested = 'authorization,content-type') =>
  fetch(`${app.baseUrl}${path}`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': requested,
    },
  });

describe('a page of a listed origin', () => {
  test.each([spa, other, ...webViews, ...extensions])(
    '%s can call with credentials and read the exposed headers',
    async (origin) => {
      const { cors, vary } = await requestFrom('/login', origin, 'post');
      expect(cors['access-control-allow-origin']).toBe(origin);
      expect(cors['access-control-allow-credentials']).toBe('true');
      const exposed = cors['access-control-expose-headers']?.split(',').map((name) => name.trim().toLowerCase());
      const needed = ['www-authenticate', 'ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id'];
      expect(exposed?.sort()).toEqual(needed.sort());
      expect(vary).toMatch(/\bOrigin\b/i);
    },
  );

  test('can read error responses', async () => {
    for (const path of ['/me', '/nowhere', '/login'])
      expect([path, (await requestFrom(path, spa)).cors['access-control-allow-origin']]).toEqual([path, spa]);
  });

  test('gets a preflight response that is valid for two hours', async () => {
    const response = await preflight('/login', spa);
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe(spa);
    expect(response.headers.get('access-control-allow-credentials')).toBe('true');
    expect(response.headers.get('access-control-allow-methods')).toMatch(/POST/);
    expect(response.headers.get('access-control-allow-headers')).toMatch(/authorization.*content-type/i);
    expect(response.headers.get('access-control-max-age')).toBe('7200');
    expect(response.headers.get('vary')).toMatch(/Origin/);
  });
});

/** The requested headers that a preflight response does not allow. */
async function deniedHeaders(requested: readonly string[]): Promise<string[]> {
  const { headers } = await preflight('/refresh', spa, requested.join(','));
  const allowed = (headers.get('access-control-allow-headers') ?? '').toLowerCase().split(',');
  return requested.filter((name) => !allowed.includes(name.toLowerCase()));
}

test('a preflight allows the headers of tracing libraries', async () => {
  const tracing =
    'traceparent tracestate baggage sentry-trace b3 x-b3-traceid x-b3-spanid x-b3-sampled uber-trace-id x-request-id ' +
    'x-correlation-id x-requested-with x-datadog-trace-id x-datadog-parent-id x-datadog-origin newrelic request-id ' +
    'request-context elastic-apm-traceparent x-amzn-trace-id x-cloud-trace-context x-csrf-token x-api-key';
  expect(await deniedHeaders(tracing.split(' '))).toEqual([]);
});

test('a preflight allows the headers in CORS_ALLOWED_HEADERS and no others', async () => {
  expect(await deniedHeaders(['x-tenant-id', 'X-App', 'content-type', 'x-other'])).toEqual(['x-other']);
});

describe('a page of any other origin', () => {
  const strangers = [
    'https://evil.example',
    'null',
    `${spa}.evil.example`,
    'https://evilapp.example.com',
    'http://app.example.com',
    'https://app.example.com:444',
    'https://APP.example.com',
    'https://admin.example.com',
    '*',
    '',
    'capacitor://localhost.evil.example',
    'capacitor://evil',
    'ionic://',
    'chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba',
  ];

  test.each(strangers)('%s can read nothing', async (origin) => {
    for (const [path, method] of [
      ['/login', 'post'],
      ['/me', 'get'],
      ['/healthz', 'get'],
    ] as const) {
      const { cors, vary } = await requestFrom(path, origin, method);
      expect([path, cors]).toEqual([path, {}]);
      expect(vary).toMatch(/Origin/);
    }
    const response = await preflight('/login', origin);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
  });
});

test('a response to a request without Origin has Vary: Origin', async () => {
  expect((await requestFrom('/healthz', undefined)).vary).toMatch(/Origin/);
});

const publicPaths = [
  '/.well-known/jwks.json',
  '/.well-known/oauth-authorization-server',
  '/.well-known/openid-configuration',
  '/openapi.json',
  '/openapi.yaml',
];

test.each(publicPaths)('%s is readable for every origin, without credentials', async (path) => {
  for (const origin of ['https://evil.example', spa, undefined]) {
    const { cors } = await requestFrom(path, origin);
    expect(cors['access-control-allow-origin']).toBe('*');
    expect(cors['access-control-allow-credentials']).toBeUndefined();
  }
  const response = await preflight(path, 'https://evil.example');
  expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([204, '*']);
});

test('in production, no origin is allowed without CORS_ORIGINS', async () => {
  const closed = await startApp(productionSettings(), { mode: 'production' });
  const headers = { origin: closed.config.issuer };
  for (const each of [headers, { origin: 'http://localhost:5173' }, { origin: 'http://127.0.0.1' }])
    expect(corsOf((await closed.call('post', '/login', { headers: each, body: {} })).headers)).toEqual({});
  expect(corsOf((await closed.call('get', '/.well-known/jwks.json', { headers })).headers)).toMatchObject({
    'access-control-allow-origin': '*',
  });
  await closed.close();
});

describe('in development, a page on this machine', () => {
  test.each([
    'http://localhost:5173',
    'http://localhost',
    'http://127.0.0.1:8080',
    'http://[::1]:4200',
    'https://localhost:5173',
    'http://app.localhost:3000',
  ])('%s can call with credentials', async (origin) => {
    const { cors } = await requestFrom('/me', origin);
    expect(cors).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
    });
    expect((await preflight('/login', origin)).headers.get('access-control-allow-origin')).toBe(origin);
  });

  test.each([
    'http://localhost.evil.example',
    'http://evil.example:5173',
    'http://localhost:5173.evil.example',
    'http://127.0.0.1.evil.example',
    'http://evillocalhost:5173',
    'http://localhost:5173/',
    'http://localhost:99999',
    'http://user@localhost:5173',
    'HTTP://localhost:5173',
    'ftp://localhost',
    'http://0.0.0.0:5173',
    'http://10.0.0.1:5173',
    'null',
  ])('is not %s', async (origin) => {
    expect((await requestFrom('/me', origin)).cors).toEqual({});
  });

  test('can log in, refresh and log out with the cookie', async () => {
    const { email } = await app.register();
    const origin = 'http://localhost:5173';
    const page = { origin, 'sec-fetch-site': 'same-site' };
    const body = { email, password, transport: 'cookie' };
    const login = await app.call('post', '/login', { headers: page, body });
    const withCookie = { ...page, 'x-csrf-token': login.body.csrf_token, cookie: cookieOf(login) };
    const refreshed = await app.call('post', '/refresh', { headers: withCookie });
    expect([refreshed.status, corsOf(refreshed.headers)['access-control-allow-origin']]).toEqual([200, origin]);
    const logout = { headers: { ...withCookie, cookie: cookieOf(refreshed) } };
    expect((await app.call('post', '/logout', logout)).status).toBe(204);
  });
});

const cookieOf = ({ headers }: { headers: Record<string, string> }): string =>
  String(headers['set-cookie']).split(';')[0] ?? '';

describe('the log', () => {
  const lines: Record<string, unknown>[] = [];
  let logged: TestApp;
  beforeAll(async () => {
    const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    logged = await startApp({ ...productionSettings(), CORS_ORIGINS: spa }, { mode: 'production', log });
  });
  afterAll(() => logged.close());

  const warnings = () =>
    lines.filter(({ level }) => level === 40).map(({ origin, header, msg }) => [origin, header, msg].filter(Boolean));

  /** The warnings that a request causes. */
  async function warningsOf(headers: Record<string, string>, method: 'OPTIONS' | 'POST' = 'POST') {
    lines.length = 0;
    await fetch(`${logged.baseUrl}/refresh`, { method, headers });
    return warnings();
  }

  test('names a refused origin once, and the setting that allows it', async () => {
    const origin = 'https://new.example.com';
    const message = 'refused a page of another origin; to allow it, add the origin to CORS_ORIGINS';
    expect(await warningsOf({ origin }, 'OPTIONS')).toEqual([[origin, message]]);
    expect(await warningsOf({ origin }, 'OPTIONS')).toEqual([]);
    expect(await warningsOf({ origin })).toEqual([]);
    expect(await warningsOf({ origin: 'null' })).toEqual([
      ['null', 'refused a page without an origin, such as a file: serve it over http'],
    ]);
  });

  test('names a page that is refused the cookie because it is on another site', async () => {
    const headers = { origin: spa, 'sec-fetch-site': 'cross-site', cookie: '__Host-refresh_token=ktr_x' };
    expect(await warningsOf(headers)).toEqual([[spa, expect.stringContaining('set COOKIE_SAMESITE=none')]]);
    const { body } = await logged.call('post', '/refresh', { headers });
    expect(body).toMatchObject({ code: 'csrf_failed', detail: expect.stringContaining('COOKIE_SAMESITE=none') });
  });

  test('names a header that a page cannot send, and the setting that allows it', async () => {
    const requested = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-app,x-csrf-token',
    };
    const message =
      'refused a page that sends another request header; to allow it, add the header to CORS_ALLOWED_HEADERS';
    expect(await warningsOf({ origin: spa, ...requested }, 'OPTIONS')).toEqual([[spa, 'x-app', message]]);
    expect(await warningsOf({ origin: spa, ...requested }, 'OPTIONS')).toEqual([]);
  });

  test('does not name allowed pages, pages of the service, programs, or text that no browser sends', async () => {
    const own = logged.config.baseUrl;
    for (const headers of [
      { origin: spa },
      { origin: own },
      { origin: 'https://alias.example.com', 'sec-fetch-site': 'same-origin' },
      { origin: 'null', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' },
      {},
      { origin: 'https://evil.example\u0085forged line' },
      { origin: `https://${'a'.repeat(300)}.example` },
      { origin: 'evil' },
      { origin: '' },
    ])
      expect(await warningsOf(headers as Record<string, string>)).toEqual([]);
  });

  test('is not filled by invented origins, which also hide no warning of another kind', async () => {
    for (let number = 0; number < 150; number += 1) await warningsOf({ origin: `https://o${number}.example` });
    lines.length = 0;
    for (let number = 150; number < 160; number += 1)
      await fetch(`${logged.baseUrl}/me`, { headers: { origin: `https://o${number}.example` } });
    expect(warnings()).toEqual([]);
    const requested = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-late' };
    expect(await warningsOf({ origin: spa, ...requested }, 'OPTIONS')).toEqual([
      [spa, 'x-late', expect.stringContaining('CORS_ALLOWED_HEADERS')],
    ]);
  });
});
