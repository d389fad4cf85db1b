// The ceilings, the headers, and the address that requests are counted by. `outcomes.test.ts` has the other limits.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Response } from 'supertest';
import { freshEmail, startApp, type TestApp } from '../harness.ts';
import { operations } from '../http/operations.ts';
import { exchange } from '../http/wire.ts';
import { type Call, callFrom as callAppFrom, freshAddress, statuses, withApp, wrongLogin } from './calls.ts';
import { rateLimitOf } from './fields.ts';

jest.setTimeout(60_000);

const tight = {
  RATE_LIMIT_LOGIN: '5/15m',
  RATE_LIMIT_REGISTER: '4/1h',
  RATE_LIMIT_REFRESH: '4/1m',
  RATE_LIMIT_MAIL: '3/15m',
  RATE_LIMIT_DEFAULT: '6/1m',
  TRUST_PROXY: '1',
} as const;

let app: TestApp;
beforeAll(async () => {
  app = await startApp(tight);
});
afterAll(() => app.close());

const callFrom = (ip: string, call: Call, to = app) => callAppFrom(to, ip, call);

/** The limits that the examples of the OpenAPI document count for, without credentials. All others count only for the ceiling. */
const groupOf: Record<string, string> = {
  register: 'register',
  login: 'login',
  refresh: 'refresh',
  verifyEmail: 'mail',
  resendVerification: 'mail',
  forgotPassword: 'mail',
  resetPassword: 'mail',
  undoEmailChange: 'mail',
};

const probes = ['getHealth', 'getReadiness'];

test('RateLimit-Policy names the partition of an address by a keyed hash', async () => {
  const partitionFrom = async (ip: string, own: TestApp) => {
    const { headers } = await callFrom(ip, ['get', '/.well-known/jwks.json'], own);
    return /; pk=(:.+:)$/.exec(String(headers['ratelimit-policy']))?.[1];
  };
  const [ip, other] = [freshAddress(), freshAddress()];
  const partition = await partitionFrom(ip, app);
  expect(partition).toMatch(/^:[\w+/]+=*:$/);
  expect(await partitionFrom(ip, app)).toBe(partition);
  expect(await partitionFrom(other, app)).not.toBe(partition);
  await withApp({}, async (own) => expect(await partitionFrom(ip, own)).not.toBe(partition));
});

test.each(operations.filter(({ id }) => !probes.includes(id)))(
  'the response of $id describes the limit that it counted for',
  async ({ id, method, path, body }) => {
    const call: Call = [method.toLowerCase() as Call[0], path, body ? { body: body.example } : {}];
    const response = await callFrom(freshAddress(), call);
    const limit = rateLimitOf(response);
    const quotas: Record<string, number> = {
      login: 5,
      register: 4,
      refresh: 4,
      mail: 3,
      default: 6,
      refresh_ceiling: 60,
    };
    const quota = quotas[groupOf[id] ?? 'default'];
    expect(limit).toMatchObject({ group: groupOf[id] ?? 'default', quota, left: (quota ?? 0) - 1 });
    expect(limit.resetSeconds).toBeLessThanOrEqual(limit.windowSeconds);
  },
);

test('returns 429 beyond the limit, with Retry-After not before the reset', async () => {
  const ip = freshAddress();
  const left = async () => rateLimitOf(await callFrom(ip, ['get', '/openapi.json'])).left;
  expect([await left(), await left(), await left(), await left(), await left(), await left()]).toEqual([
    5, 4, 3, 2, 1, 0,
  ]);
  const refused = await callFrom(ip, ['get', '/openapi.json']);
  expect(refused.status).toBe(429);
  expect(refused.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(refused.headers['cache-control']).toBe('no-store');
  expect(refused.body).toMatchObject({
    status: 429,
    code: 'rate_limited',
    type: expect.stringMatching(/rate-limited$/),
  });
  const { resetSeconds } = rateLimitOf(refused);
  expect(refused.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(resetSeconds);
  expect((await callFrom(freshAddress(), ['get', '/openapi.json'])).status).toBe(200);
});

test('counts from zero after the window has ended', () =>
  withApp({ RATE_LIMIT_DEFAULT: '2/1s' }, async (own) => {
    const call = () => callFrom('198.51.100.1', ['get', '/openapi.json'], own);
    expect(await statuses(3, call)).toEqual([200, 200, 429]);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await call()).status).toBe(200);
  }));

test('never limits probes', async () => {
  const ip = freshAddress();
  expect(await statuses(20, () => callFrom(ip, ['get', '/healthz']))).toEqual(Array(20).fill(200));
  expect(await statuses(20, () => callFrom(ip, ['get', '/readyz']))).toEqual(Array(20).fill(200));
  expect((await callFrom(ip, ['get', '/healthz'])).headers['ratelimit']).toBeUndefined();
});

test('counts unknown paths and wrong methods', async () => {
  const ip = freshAddress();
  const responses = [];
  for (let i = 0; i < 4; i += 1)
    responses.push((await callFrom(ip, ['get', `/.env.${i}`])).status, (await callFrom(ip, ['put', '/login'])).status);
  expect(responses).toEqual([404, 405, 404, 405, 404, 405, 429, 429]);
});

test('describes the limit in errors that precede the handler', async () => {
  const [json, big] = [{ 'content-type': 'application/json' }, `"${'x'.repeat(17_000)}"`];
  const requests: [status: number, group: string, method: string, path: string, headers: object, body?: string][] = [
    [404, 'default', 'GET', '/nowhere', {}],
    [405, 'default', 'PUT', '/sessions', {}],
    [400, 'default', 'POST', '/login', json, '{'],
    [413, 'default', 'POST', '/login', json, big],
    [415, 'refresh_ceiling', 'POST', '/refresh', {}, '{}'],
    [401, 'default', 'GET', '/me', { authorization: 'Bearer garbage' }],
  ];
  for (const [status, group, method, path, headers, body] of requests) {
    const ip = freshAddress();
    const init = { method, headers: { ...headers, 'x-forwarded-for': ip }, ...(body ? { body } : {}) };
    const response = await fetch(`${app.baseUrl}${path}`, init);
    const converted = { status: response.status, headers: Object.fromEntries(response.headers) } as Response;
    expect([path, response.status, rateLimitOf(converted).group]).toEqual([path, status, group]);
  }
});

test('no other spelling of /login has its own counter', () =>
  withApp({ RATE_LIMIT_LOGIN: '5/15m' }, async (own) => {
    const ip = freshAddress();
    await statuses(5, () => callFrom(ip, wrongLogin(), own));
    const body = JSON.stringify({ email: freshEmail(), password: 'not it' });
    const headers = `host: x\r\nx-forwarded-for: ${ip}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`;
    const spellings = [
      '/LOGIN',
      '/login/',
      '//login',
      '/%6cogin',
      '/login%2f',
      '/./login',
      '/x/../login',
      '/login;x',
      '/login#x',
    ];
    for (const path of [...spellings, '/login?x=1', '/login?', 'http://x/login'])
      expect([path, await exchange(own.baseUrl, `POST ${path} HTTP/1.1\r\n${headers}\r\n\r\n${body}`)]).toEqual([
        path,
        expect.stringMatching(/^HTTP\/1.1 (404|429|400) /),
      ]);
  }));

describe('the address that counts', () => {
  const forged = [
    { 'x-forwarded-for': '203.0.113.1' },
    { forwarded: 'for=203.0.113.2' },
    { 'x-real-ip': '203.0.113.3' },
    { 'x-forwarded-for': '203.0.113.4, 203.0.113.5' },
    { 'true-client-ip': '203.0.113.6' },
    { 'cf-connecting-ip': '203.0.113.7' },
    { 'x-client-ip': '203.0.113.8' },
  ];

  test('is that of the connection with TRUST_PROXY=off, whatever the headers say', () =>
    withApp({ TRUST_PROXY: 'off', RATE_LIMIT_DEFAULT: '6/1m' }, async (own) => {
      const responses = [];
      for (const headers of forged) responses.push((await own.call('get', '/openapi.json', { headers })).status);
      expect(responses).toEqual([200, 200, 200, 200, 200, 200, 429]);
    }));

  test('is the one that the trusted proxy appended, whatever other headers say', async () => {
    const ip = freshAddress();
    const responses = [];
    for (const headers of forged) {
      const chain = [headers['x-forwarded-for'], ip].filter((hop) => hop !== undefined).join(', ');
      responses.push(
        (await app.call('get', '/openapi.json', { headers: { ...headers, 'x-forwarded-for': chain } })).status,
      );
    }
    expect(responses).toEqual([200, 200, 200, 200, 200, 200, 429]);
  });

  test.each([
    ['is an IPv6 /56', '2001:db8:9:100::1', '2001:db8:9:1ff:ffff:ffff:ffff:ffff', '2001:db8:9:200::1'],
    ['is one IPv4 address, also mapped or with a port', '::ffff:203.0.113.50', '203.0.113.50:40123', '203.0.113.51'],
  ])('%s', async (_, one, same, other) => {
    await statuses(6, () => callFrom(one, ['get', '/openapi.json']));
    expect((await callFrom(same, ['get', '/openapi.json'])).status).toBe(429);
    expect((await callFrom(other, ['get', '/openapi.json'])).status).toBe(200);
  });
});
