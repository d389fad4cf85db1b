import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Response } from 'supertest';
import { type CallOptions, freshEmail, password, type Settings, startApp, type TestApp } from '../harness.ts';
import { operations } from '../http/operations.ts';
import { exchange } from '../http/wire.ts';
import { limitOf } from './fields.ts';

jest.setTimeout(60_000);

const tight = {
  RATE_LIMIT_LOGIN: '5/15m',
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

let addresses = 0;
/** An IP address that no other test uses. */
const freshAddress = () => `198.51.${Math.floor((addresses += 1) / 250)}.${(addresses % 250) + 1}`;

type Call = [method: 'get' | 'post' | 'patch' | 'delete' | 'put', path: string, options?: CallOptions];

const callFrom = (ip: string, [method, path, options = {}]: Call, to = app) =>
  to.call(method, path, { ...options, headers: { ...options.headers, 'x-forwarded-for': ip } });

async function statuses(times: number, call: () => Promise<{ status: number }>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i += 1) all.push((await call()).status);
  return all;
}

const wrongLogin = (): Call => ['post', '/login', { body: { email: freshEmail(), password: 'not it' } }];

async function withApp(settings: Settings, use: (app: TestApp) => Promise<void>): Promise<void> {
  const own = await startApp({ ...tight, ...settings });
  await use(own).finally(() => own.close());
}

async function registered(): Promise<{ email: string; access_token: string; refresh_token: string }> {
  const email = freshEmail();
  const body = { email, password, display_name: 'Ada Lovelace' };
  const { body: account } = await callFrom(freshAddress(), ['post', '/register', { body }]);
  return { ...(account as { access_token: string; refresh_token: string }), email };
}

const groupOf: Record<string, string> = {
  register: 'login',
  login: 'login',
  changePassword: 'login',
  changeEmail: 'login',
  deleteMe: 'login',
  requestToken: 'login',
  verifyEmail: 'mail',
  resendVerification: 'mail',
  forgotPassword: 'mail',
  resetPassword: 'mail',
  refresh: 'refresh',
};

const probes = ['getHealth', 'getReadiness'];

test.each(operations.filter(({ id }) => !probes.includes(id)))(
  '$id says which limit it counts for, and how much is left',
  async ({ id, method, path, body }) => {
    const call: Call = [method.toLowerCase() as Call[0], path, body ? { body: body.example } : {}];
    const answer = await callFrom(freshAddress(), call);
    const limit = limitOf(answer);
    const quota = { login: 5, refresh: 4, mail: 3, default: 6 }[groupOf[id] ?? 'default'];
    expect(limit).toMatchObject({ group: groupOf[id] ?? 'default', quota, left: (quota ?? 0) - 1 });
    expect(limit.resetSeconds).toBeLessThanOrEqual(limit.windowSeconds);
  },
);

test('a request over the limit gets an uncacheable 429 problem with a Retry-After at or after the reset', async () => {
  const ip = freshAddress();
  const left = async () => limitOf(await callFrom(ip, ['get', '/openapi.json'])).left;
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
  const { resetSeconds } = limitOf(refused);
  expect(refused.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(resetSeconds);
  expect((await callFrom(freshAddress(), ['get', '/openapi.json'])).status).toBe(200);
});

test('a new window starts with the full limit', () =>
  withApp({ RATE_LIMIT_DEFAULT: '2/1s' }, async (own) => {
    const call = () => callFrom('198.51.100.1', ['get', '/openapi.json'], own);
    expect(await statuses(3, call)).toEqual([200, 200, 429]);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await call()).status).toBe(200);
  }));

describe('login', () => {
  test('counts failed logins only', async () => {
    const [{ email }, ip] = [await registered(), freshAddress()];
    const login: Call = ['post', '/login', { body: { email, password } }];
    expect(await statuses(12, () => callFrom(ip, login))).toEqual(Array(12).fill(200));
    expect(await statuses(5, () => callFrom(ip, wrongLogin()))).toEqual(Array(5).fill(401));
    expect((await callFrom(ip, login)).status).toBe(429);
  });

  test('limits an attacker who tries one password on many accounts', async () => {
    const ip = freshAddress();
    expect(await statuses(7, () => callFrom(ip, wrongLogin()))).toEqual([401, 401, 401, 401, 401, 429, 429]);
  });

  test('does not let more guesses run concurrently than may fail', async () => {
    const ip = freshAddress();
    const answers = await Promise.all(Array.from({ length: 40 }, () => callFrom(ip, wrongLogin())));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(35);
  });

  test('accepts more concurrent correct passwords than may fail', async () => {
    const [{ email }, ip] = [await registered(), freshAddress()];
    const login: Call = ['post', '/login', { body: { email, password } }];
    const answers = await Promise.all(Array.from({ length: 40 }, () => callFrom(ip, login)));
    expect(answers.map(({ status }) => status)).toContain(429);
    expect((await callFrom(ip, login)).status).toBe(200);
  });

  test('still refuses after many refusals', async () => {
    const ip = freshAddress();
    expect(await statuses(5, () => callFrom(ip, wrongLogin()))).toEqual(Array(5).fill(401));
    expect(await statuses(20, () => callFrom(ip, wrongLogin()))).toEqual(Array(20).fill(429));
  });

  test('shares one counter between register, login and every password check under /me', async () => {
    const [{ email, access_token: token }, ip] = [await registered(), freshAddress()];
    const body = { current_password: 'not it', new_password: 'a quieter mare and no battery' };
    await callFrom(ip, ['post', '/register', { body: { email, password, display_name: 'Ada' } }]);
    await callFrom(ip, wrongLogin());
    await callFrom(ip, ['post', '/me/password', { token, body }]);
    await callFrom(ip, ['post', '/me/delete', { token, body: { current_password: 'not it' } }]);
    const last = await callFrom(ip, wrongLogin());
    expect([last.status, limitOf(last).left]).toEqual([401, 0]);
    expect((await callFrom(ip, ['post', '/register', { body: {} }])).status).toBe(429);
    expect((await callFrom(ip, ['get', '/me', { token }])).status).toBe(200);
  });
});

describe('refresh', () => {
  test('counts a valid token by its session, not by IP address', async () => {
    let { refresh_token: token } = await registered();
    const turn = async () => {
      const answer = await callFrom(freshAddress(), ['post', '/refresh', { body: { refresh_token: token } }]);
      token = (answer.body as { refresh_token?: string }).refresh_token ?? token;
      return answer;
    };
    expect(await statuses(5, turn)).toEqual([200, 200, 200, 200, 429]);
  });

  test('lets many sessions share one IP address', async () => {
    const ip = freshAddress();
    for (let i = 0; i < 12; i += 1) {
      const { refresh_token: token } = await registered();
      const { status } = await callFrom(ip, ['post', '/refresh', { body: { refresh_token: token } }]);
      expect(status).toBe(200);
    }
  });

  test('a refused rotation does not spend the token: it is valid in the next window', () =>
    withApp({ RATE_LIMIT_REFRESH: '1/1s' }, async (own) => {
      const { refresh_token: token } = await own.register();
      const { body } = await own.refresh(token);
      const next = (body as { refresh_token: string }).refresh_token;
      expect((await own.refresh(next)).status).toBe(429);
      await new Promise((resolve) => setTimeout(resolve, 1100));
      expect((await own.refresh(next)).status).toBe(200);
    }));

  test.each([
    ['a forged token', { refresh_token: `ktr_${'A'.repeat(91)}` }, 401],
    ['no token', { refresh_token: '' }, 401],
    ['another body', { refresh: 'x' }, 400],
  ])('counts %s by the IP address', async (_, body, status) => {
    const ip = freshAddress();
    const call = () => callFrom(ip, ['post', '/refresh', { body }]);
    expect(await statuses(5, call)).toEqual([status, status, status, status, 429]);
    const { refresh_token: token } = await registered();
    expect((await callFrom(ip, ['post', '/refresh', { body: { refresh_token: token } }])).status).toBe(200);
  });

  test.each([
    ['not JSON', 'application/json', '{', 400],
    ['not declared as JSON', 'text/plain', '{}', 415],
    ['too large', 'application/json', `"${'x'.repeat(17_000)}"`, 413],
  ])('counts a body that is %s by the IP address', async (_, type, body, status) => {
    const headers = { 'content-type': type, 'x-forwarded-for': freshAddress() };
    const send = () => fetch(`${app.baseUrl}/refresh`, { method: 'POST', headers, body });
    expect(await statuses(5, send)).toEqual([status, status, status, status, 429]);
  });
});

test('health probes are never limited', async () => {
  const ip = freshAddress();
  expect(await statuses(20, () => callFrom(ip, ['get', '/healthz']))).toEqual(Array(20).fill(200));
  expect(await statuses(20, () => callFrom(ip, ['get', '/readyz']))).toEqual(Array(20).fill(200));
  expect((await callFrom(ip, ['get', '/healthz'])).headers['ratelimit']).toBeUndefined();
});

test('requests for unknown paths and wrong methods count', async () => {
  const ip = freshAddress();
  const answers = [];
  for (let i = 0; i < 4; i += 1)
    answers.push((await callFrom(ip, ['get', `/.env.${i}`])).status, (await callFrom(ip, ['put', '/login'])).status);
  expect(answers).toEqual([404, 405, 404, 405, 404, 405, 429, 429]);
});

test('errors raised before the endpoint have the rate limit headers', async () => {
  const [json, big] = [{ 'content-type': 'application/json' }, `"${'x'.repeat(17_000)}"`];
  const requests: [status: number, group: string, method: string, path: string, headers: object, body?: string][] = [
    [404, 'default', 'GET', '/nowhere', {}],
    [405, 'default', 'PUT', '/sessions', {}],
    [400, 'login', 'POST', '/login', json, '{'],
    [413, 'login', 'POST', '/login', json, big],
    [415, 'refresh', 'POST', '/refresh', {}, '{}'],
    [401, 'default', 'GET', '/me', { authorization: 'Bearer garbage' }],
  ];
  for (const [status, group, method, path, headers, body] of requests) {
    const ip = freshAddress();
    const init = { method, headers: { ...headers, 'x-forwarded-for': ip }, ...(body ? { body } : {}) };
    const answer = await fetch(`${app.baseUrl}${path}`, init);
    const said = { status: answer.status, headers: Object.fromEntries(answer.headers) } as Response;
    expect([path, answer.status, limitOf(said).group]).toEqual([path, status, group]);
  }
});

test('every spelling of /login shares one counter', async () => {
  const ip = freshAddress();
  await statuses(5, () => callFrom(ip, wrongLogin()));
  const body = JSON.stringify({ email: freshEmail(), password: 'not it' });
  const headers = `host: x\r\nx-forwarded-for: ${ip}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`;
  const ways = [
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
  for (const way of [...ways, '/login?x=1', '/login?', 'http://x/login'])
    expect([way, await exchange(app.baseUrl, `POST ${way} HTTP/1.1\r\n${headers}\r\n\r\n${body}`)]).toEqual([
      way,
      expect.stringMatching(/^HTTP\/1.1 (404|429|400) /),
    ]);
});

describe('the client IP address', () => {
  const forged = [
    { 'x-forwarded-for': '203.0.113.1' },
    { forwarded: 'for=203.0.113.2' },
    { 'x-real-ip': '203.0.113.3' },
    { 'x-forwarded-for': '203.0.113.4, 203.0.113.5' },
    { 'true-client-ip': '203.0.113.6' },
    { 'cf-connecting-ip': '203.0.113.7' },
    { 'x-client-ip': '203.0.113.8' },
  ];

  test('is the peer address with TRUST_PROXY=off, whatever the headers say', () =>
    withApp({ TRUST_PROXY: 'off' }, async (own) => {
      const answers = [];
      for (const headers of forged) answers.push((await own.call('get', '/openapi.json', { headers })).status);
      expect(answers).toEqual([200, 200, 200, 200, 200, 200, 429]);
    }));

  test('is the address that the one trusted proxy added, whatever the client wrote before it', async () => {
    const ip = freshAddress();
    const answers = [];
    for (const headers of forged) {
      const chain = [headers['x-forwarded-for'], ip].filter((hop) => hop !== undefined).join(', ');
      answers.push(
        (await app.call('get', '/openapi.json', { headers: { ...headers, 'x-forwarded-for': chain } })).status,
      );
    }
    expect(answers).toEqual([200, 200, 200, 200, 200, 200, 429]);
  });

  test.each([
    ['an IPv6 /56', '2001:db8:9:100::1', '2001:db8:9:1ff:ffff:ffff:ffff:ffff', '2001:db8:9:200::1'],
    ['one IPv4 address, mapped or with a port', '::ffff:203.0.113.50', '203.0.113.50:40123', '203.0.113.51'],
  ])('%s', async (_, one, same, other) => {
    await statuses(6, () => callFrom(one, ['get', '/openapi.json']));
    expect((await callFrom(same, ['get', '/openapi.json'])).status).toBe(429);
    expect((await callFrom(other, ['get', '/openapi.json'])).status).toBe(200);
  });
});
