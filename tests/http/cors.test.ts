import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';

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

test('without CORS_ORIGINS no origin is allowed', async () => {
  const closed = await startApp();
  const headers = { origin: closed.config.issuer };
  expect(corsOf((await closed.call('post', '/login', { headers, body: {} })).headers)).toEqual({});
  expect(corsOf((await closed.call('get', '/.well-known/jwks.json', { headers })).headers)).toMatchObject({
    'access-control-allow-origin': '*',
  });
  await closed.close();
});
