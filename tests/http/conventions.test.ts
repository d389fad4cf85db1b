import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { adminScopes } from '../support/builders.ts';
import { type Operation, operations } from './operations.ts';
import { takeTour, type Tour } from './tour.ts';
import { send } from './wire.ts';

const issuer = 'https://auth.example.com';
const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

let app: TestApp;
let tour: Tour;
beforeAll(async () => {
  app = await startApp({ ISSUER: issuer });
  tour = await takeTour(app, 'mark');
});
afterAll(() => app.close());

const bodyless = ['unlockUser', 'mailPasswordReset', 'rotateSigningKeys', 'revokeSigningKey'];

const json = (text: string) => JSON.parse(text) as Record<string, unknown>;

test('the tour calls every operation of openapi.yaml', () => {
  const visited = new Set(tour.stops.map(({ operation }) => operation));
  expect(operations.map(({ id }) => id).filter((id) => !visited.has(id))).toEqual([]);
  const succeeded = new Set(tour.stops.flatMap(({ operation, response }) => (response.ok ? [operation] : [])));
  expect([...visited].filter((id) => !succeeded.has(id))).toEqual([]);
});

/** OAuth endpoints have their own error format (RFC 6749 section 5.2), which tests/oauth checks. */
const speaksOAuth = (operation: string) => ['requestToken', 'revokeToken', 'introspectToken'].includes(operation);

/** These paths also serve pages: docs/decisions/0013-script-free-link-pages.md. */
const pages = ['/verify-email', '/reset-password', '/undo-email-change'];

describe('methods', () => {
  const resources = [...new Map(operations.map((operation) => [operation.path, operation])).values()].map(
    ({ path }) => {
      const declared = operations.filter((operation) => operation.path === path).map(({ method }) => method);
      const own = [...declared, ...(pages.includes(path) ? ['GET'] : [])];
      return { path, own, allowed: [...own, ...(own.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort() };
    },
  );
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'M-SEARCH'];
  const allowOf = (allow: string | undefined) => (allow ?? '').split(', ').sort();

  test.each(resources)('$path returns 405 with Allow for other methods', async ({ path, allowed }) => {
    for (const method of methods.filter((method) => !allowed.includes(method))) {
      const { status, headers, text } = await send(app.baseUrl, path, { method, headers: { 'x-http-method': 'GET' } });
      expect([method, status]).toEqual([method, 405]);
      expect(allowOf(headers.allow)).toEqual(allowed);
      expect(method === 'HEAD' ? text : json(text)['code']).toBe(method === 'HEAD' ? '' : 'method_not_allowed');
    }
  });

  test.each(resources)('$path returns Allow for OPTIONS', async ({ path, allowed }) => {
    const { status, headers, text } = await send(app.baseUrl, path, { method: 'OPTIONS' });
    expect([status, allowOf(headers.allow), text]).toEqual([204, allowed, '']);
  });

  test.each(resources.filter(({ own }) => own.includes('GET')))(
    'HEAD $path returns the headers of GET without a body',
    async ({ path }) => {
      const [get, head] = [await send(app.baseUrl, path), await send(app.baseUrl, path, { method: 'HEAD' })];
      expect([head.status, head.text]).toEqual([get.status, '']);
      for (const name of ['content-type', 'cache-control', 'etag', 'www-authenticate', 'content-security-policy'])
        expect([name, head.headers[name]]).toEqual([name, get.headers[name]]);
    },
  );
});

test.each([
  '/LOGIN',
  '/Login',
  '/login/',
  '//login',
  '/login//',
  '/%6cogin',
  '/./login',
  '/login;x=1',
  '/me/',
  '/Me',
  '/',
])('another spelling of a path returns 404: %s', async (path) => {
  for (const method of ['GET', 'POST', 'PUT', 'OPTIONS']) {
    const { status, text } = await send(app.baseUrl, path, { method });
    expect([status, json(text)['code']]).toEqual([404, 'not_found']);
  }
});

describe('X-Request-Id', () => {
  const answerTo = async (id: string | string[]) => {
    const { headers, text } = await send(app.baseUrl, '/nowhere', { headers: { 'x-request-id': id } });
    expect(json(text)['instance']).toBe(headers['x-request-id']);
    return headers['x-request-id'];
  };

  test.each(['a', 'A-z_0.9', '..', 'x'.repeat(128), '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11'])(
    '%s is kept',
    async (id) => {
      expect(await answerTo(id)).toBe(id);
    },
  );

  test.each(['', ' ', 'x'.repeat(129), 'a b', 'a,b', 'a/b', 'a\tb', 'é', '<b>', 'a"b', '{}', 'a%0ab'])(
    '"%s" is replaced',
    async (id) => {
      expect(await answerTo(id)).toMatch(uuid);
    },
  );

  test('duplicates are replaced, and requests without one get unique ids', async () => {
    const made = [await answerTo(['a', 'b']), await answerTo(['a', 'a']), await answerTo(''), await answerTo('')];
    for (const id of made) expect(id).toMatch(uuid);
    expect(new Set(made).size).toBe(4);
  });

  test('is in every response', () => {
    for (const { operation, response } of tour.stops)
      expect([operation, response.headers['x-request-id']]).toEqual([operation, expect.stringMatching(uuid)]);
  });
});

describe('headers', () => {
  const isPublic = /^get(Jwks|AuthorizationServer|Openid|Openapi|Docs|Problem)/;

  test('every response is no-store, except for documents that are the same for all clients', () => {
    for (const { operation, response } of tour.stops) {
      const wanted = response.ok && isPublic.test(operation) ? /^public, max-age=\d+/ : /^no-store$/;
      expect([operation, response.headers['cache-control']]).toEqual([operation, expect.stringMatching(wanted)]);
    }
  });

  test('no response sets a cookie or names the server software, and all except the page forbid active content', async () => {
    const options = { operation: 'options', response: await send(app.baseUrl, '/me', { method: 'OPTIONS' }) };
    const nothing = /^default-src 'none';frame-ancestors 'none'$/;
    for (const { operation, response } of [options, ...tour.stops]) {
      const { headers } = response;
      const policy = operation === 'getDocs' ? /^default-src 'none';script-src 'self';/ : nothing;
      for (const name of ['x-powered-by', 'server', 'set-cookie']) expect(headers).not.toHaveProperty(name);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'content-security-policy': expect.stringMatching(policy),
        'referrer-policy': 'no-referrer',
        'strict-transport-security': 'max-age=31536000; includeSubDomains',
      });
    }
  });

  test('HSTS is sent only for an https issuer', async () => {
    const plain = await startApp({ ISSUER: 'http://localhost:3000' });
    const { headers } = await plain.get('/healthz');
    await plain.close();
    expect(headers).not.toHaveProperty('strict-transport-security');
    expect(headers).toHaveProperty('content-security-policy');
  });

  test('bodies are JSON in UTF-8, and errors are problem documents', () => {
    const bodies = tour.stops.filter(({ operation, response }) => response.text && operation !== 'getDocs');
    for (const { operation, response } of bodies) {
      const wanted =
        response.ok || speaksOAuth(operation)
          ? /^application\/(json; charset=utf-8|jwk-set\+json|yaml; charset=utf-8)$/
          : /^application\/problem\+json; charset=utf-8$/;
      expect([operation, response.headers['content-type']]).toEqual([operation, expect.stringMatching(wanted)]);
    }
  });
});

describe('problems', () => {
  test('each has its members, and a type under the issuer', () => {
    const problems = tour.stops.filter(({ operation, response }) => !response.ok && !speaksOAuth(operation));
    expect(problems.length).toBeGreaterThan(10);
    for (const { response } of problems) {
      const { code, errors, ...rest } = response.body as Record<string, unknown>;
      expect(rest).toMatchObject({
        type: `${issuer}/problems/${String(code).replaceAll('_', '-')}`,
        status: response.status,
        title: expect.stringMatching(/^[A-Z][^\n]+$/),
        detail: expect.stringMatching(/^[A-Z][^\n]+\.$/),
        instance: response.headers['x-request-id'],
      });
      expect(Array.isArray(errors)).toBe(code === 'validation_failed');
      expect(response.text).not.toMatch(/\bat \w+ \(|node_modules|prisma|postgres|select /i);
    }
  });

  test.each([...new Set([...operations.flatMap(({ codes }) => codes), 'method_not_allowed'])])(
    'the type of %s is the URL of its page',
    async (code) => {
      const { status, body } = await app.get(`/problems/${code.replaceAll('_', '-')}`);
      expect([status, body]).toMatchObject([200, { code, type: `${issuer}/problems/${code.replaceAll('_', '-')}` }]);
    },
  );

  test.each(['not_found', 'NOT-FOUND', 'constructor', '__proto__', ''])(
    'an unknown problem type returns 404: %s',
    async (code) => {
      expect((await app.get(`/problems/${code}`)).status).toBe(404);
    },
  );
});

describe('query parameters', () => {
  /** Probes and the pages that people open through links. */
  const tolerant = ['getHealth', 'getReadiness', 'getDocs'];
  const strict = operations.filter(({ id }) => !tolerant.includes(id));
  const types = { requestToken: 'form', revokeToken: 'form', introspectToken: 'form' };
  let token: string;
  beforeAll(async () => {
    token = (await app.admin({ scope: `profile sessions api-keys ${adminScopes}` })).token;
  });

  const callWith = async ({ id, method, path, needsToken }: Operation, query: string) => {
    const type = id in types ? 'application/x-www-form-urlencoded' : 'application/json';
    const headers = { ...(needsToken && { authorization: `Bearer ${token}` }), 'content-type': type };
    const { status, text } = await send(app.baseUrl, `${path}?${query}`, { method, headers });
    return { status, body: json(text) as { code?: string; errors?: { path: string }[]; error?: string } };
  };

  test.each(strict.filter(({ id }) => !(id in types)))('$method $path lists each unknown one', async (operation) => {
    const { status, body } = await callWith(operation, `since=1&emial=a%40b&=x&since=2&__proto__=y&${'z'.repeat(99)}`);
    expect([status, body.code]).toEqual([400, 'validation_failed']);
    const paths = body.errors?.map(({ path }) => path).sort();
    expect(paths).toEqual(['', '__proto__', 'emial', 'since', 'z'.repeat(64)]);
  });

  test.each(strict.filter(({ id }) => id in types))('$path returns invalid_request for one', async (operation) => {
    const { status, body } = await callWith(operation, 'resource=https%3A%2F%2Fapi.example.com');
    expect([status, body.error]).toEqual([400, 'invalid_request']);
  });

  test('each can be sent once', async () => {
    for (const path of [
      '/admin/users?limit=2&limit=3',
      '/admin/audit?type=login&type=logout',
      '/sessions?limit=1&limit=1',
    ]) {
      const response = await app.get(path, token);
      expect([path, response.status, response.body.errors]).toEqual([
        path,
        400,
        [{ path: expect.stringMatching(/^(limit|type)$/), message: 'must be sent once' }],
      ]);
    }
  });

  test('that are unknown change nothing for probes, the API reference and an empty query', async () => {
    for (const path of [
      '/healthz?x=1&x=2',
      '/readyz?_=1',
      '/docs?utm_source=chat',
      '/docs/page.js?v=2',
      '/openapi.json?',
    ])
      expect([path, (await app.get(path)).status]).toEqual([path, 200]);
  });

  test('that are unknown do not change the response to an invalid token', async () => {
    const response = await app.get('/admin/audit?since=yesterday&x=1', `${token}x`);
    expect([response.status, response.body.code]).toEqual([401, 'invalid_access_token']);
  });
});

test.each(operations.filter(({ id }) => bodyless.includes(id)))(
  '$method $path, which takes no members, rejects some and accepts an empty body',
  async ({ method, path }) => {
    const { token } = await app.admin({ scope: adminScopes });
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const { status, text } = await send(app.baseUrl, path, { method, headers, body: '{"reason":"x"}' });
    expect([status, json(text)['errors']]).toEqual([400, [{ path: 'reason', message: 'is unknown' }]]);
    for (const body of [undefined, '', '{}'])
      expect((await send(app.baseUrl, path, { method, headers, body })).status).not.toBe(400);
  },
);
