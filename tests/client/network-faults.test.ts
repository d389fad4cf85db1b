// Calls while the network or the service fails.
import { describe, expect, test } from '@jest/globals';
import { createClient } from '../../src/client/index.ts';
import { type Fault, startFaultyProxy } from '../support/faulty-proxy.ts';
import { freshEmail, password } from '../harness.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { passTime, readSession } from '../support/session-rows.ts';
import {
  displayName,
  errorOf,
  flushCallbacks,
  makeStorage,
  makeTestClient,
  restart,
  signUp,
  useBackend,
} from './support.ts';

const backend = useBackend();

const refreshes = () => backend.requestsTo('/refresh');
const tokensSent = () => refreshes().map(({ body }) => (JSON.parse(body) as { refresh_token: string }).refresh_token);

/** Only a response that never arrives waits for the time limit, so the other tests work on a busy machine. */
const timeLimitFor = (fault: Fault) => (fault === 'withholdResponse' ? { timeoutMs: 1000 } : {});

const retryNow = { 'retry-after': '0' };
const retryInOneMinute = { 'retry-after': '60' };

describe('the client repeats the refresh token and keeps the session after', () => {
  test.each<[string, Fault]>([
    ['a lost request', 'loseRequest'],
    ['a lost response', 'loseResponse'],
    ['a truncated response', 'cutResponse'],
    ['half a response with a matching content length', 'halveResponse'],
    ['a response that never arrives', 'withholdResponse'],
    ['a request that the network duplicated', 'duplicate'],
    ['the page of a captive portal', 'portal'],
    ['a 502 of a proxy', { status: 502, body: '<h1>Bad Gateway</h1>' }],
    ['a 401 of a proxy', { status: 401, body: '<h1>Who are you?</h1>' }],
    ['a 403 of a proxy', { status: 403, body: 'blocked' }],
    ['a 503 after the rotation', { status: 503, headers: retryNow, forwards: true }],
    ['a 429', { status: 429, headers: retryNow }],
    ['a 500', { status: 500, body: '{}' }],
  ])('%s', async (_, fault) => {
    const { client, sessionId } = await signUp(backend);
    const first = client.storage.token;
    const app = restart(backend, client, timeLimitFor(fault));
    backend.failNext('/refresh', fault);
    expect(await app.resume()).toMatchObject({ sessionId });
    const sent = tokensSent();
    expect(new Set(sent)).toEqual(new Set([first]));
    expect(sent).toHaveLength(fault === 'duplicate' ? 1 : 2);
    expect(app.storage.writes.map((token) => generationOf(token))).toEqual([0, 1]);
    expect(app.events).toEqual([sessionId]);
    expect(await readSession(backend.app.sql, sessionId)).toMatchObject({ generation: 1, revokedReason: null });
  });
});

test('does not follow a redirect with the refresh token', async () => {
  const other = await startFaultyProxy(backend.app.baseUrl);
  const { client, sessionId } = await signUp(backend);
  backend.failNext('/refresh', { status: 307, headers: { location: `${other.baseUrl}/refresh` } });
  expect(await restart(backend, client).resume()).toMatchObject({ sessionId });
  expect(other.requests).toEqual([]);
  await other.close();
});

test('twenty concurrent callers share one series of retries', async () => {
  const { client } = await signUp(backend);
  const app = restart(backend, client, { retryTimeoutMs: 500 });
  backend.failAll('loseRequest');
  const errors = await Promise.all(Array.from({ length: 20 }, () => errorOf(app.accessToken())));
  expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['network']));
  expect(refreshes().length).toBeLessThan(5);
});

test('waits for Retry-After before it retries', async () => {
  const { client } = await signUp(backend);
  backend.failNext('/refresh', { status: 503, headers: { 'retry-after': '1' } });
  await restart(backend, client).accessToken();
  const [first, second] = refreshes();
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
});

test('retries with exponential backoff and jitter', async () => {
  const { client } = await signUp(backend);
  backend.failNext('/refresh', ...Array.from({ length: 4 }, (): Fault => 'loseRequest'));
  await restart(backend, client).accessToken();
  const times = refreshes().map(({ atMs }) => atMs);
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  expect(waits).toHaveLength(4);
  for (const [index, wait] of waits.entries()) {
    expect(wait).toBeGreaterThanOrEqual(250 * 2 ** index * 0.5 - 5);
    expect(wait).toBeLessThan(250 * 2 ** index + 150);
  }
});

test('rejects after retryTimeoutMs without a sign-out, and the next call uses the same token', async () => {
  const { client, sessionId } = await signUp(backend);
  const app = restart(backend, client, { retryTimeoutMs: 300 });
  backend.failAll('loseRequest');
  const error = await errorOf(app.accessToken());
  expect(error).toMatchObject({ code: 'network', isTemporary: true });
  expect(app.events).toEqual([]);
  backend.recover();
  expect(await app.resume()).toMatchObject({ sessionId });
});

test('sends no request before a Retry-After that exceeds retryTimeoutMs has passed', async () => {
  const { client } = await signUp(backend);
  const app = restart(backend, client);
  backend.failNext('/refresh', { status: 429, headers: retryInOneMinute });
  for (let calls = 0; calls < 3; calls += 1)
    expect((await errorOf(app.accessToken())).retryAfterSeconds).toBeGreaterThan(55);
  expect(refreshes()).toHaveLength(1);
  expect(app.events).toEqual([]);
});

test('uses the access token until it expires while the service is down', async () => {
  const { client } = await signUp(backend, { retryTimeoutMs: 1000 });
  const token = await client.accessToken();
  backend.failAll({ status: 503, headers: retryInOneMinute });
  await withAdjustableClock(async (advance) => {
    advance(850);
    expect(await client.accessToken()).toBe(token);
    await flushCallbacks();
    advance(45);
    expect((await errorOf(client.accessToken())).isTemporary).toBe(true);
    expect(client.events).toHaveLength(1);
  });
});

test('refreshes the access token in the background before it expires', async () => {
  const { client } = await signUp(backend);
  const token = await client.accessToken();
  await withAdjustableClock(async (advance) => {
    advance(800);
    expect(await client.accessToken()).toBe(token);
    expect(refreshes()).toHaveLength(0);
    advance(50);
    expect(await client.accessToken()).toBe(token);
    while (client.storage.writes.length < 2) await flushCallbacks();
    await flushCallbacks();
    expect(await client.accessToken()).not.toBe(token);
    expect(refreshes()).toHaveLength(1);
  });
});

test('setting the clock back by a day does not extend the life of an access token', async () => {
  const { client } = await signUp(backend);
  const token = await client.accessToken();
  await withAdjustableClock(async (advance) => {
    advance(-86_400);
    expect(await client.accessToken()).not.toBe(token);
  });
});

test('the session continues after a week of sleep', async () => {
  const { client, sessionId } = await signUp(backend);
  await withAdjustableClock(async (advance) => {
    advance(7 * 86_400);
    await passTime(backend.app.sql, 7 * 86_400, [sessionId]);
    expect((await client.fetch('/me')).status).toBe(200);
    expect(client.events).toEqual([sessionId]);
  });
});

describe('the client signs out, removes the token and reports the reason', () => {
  test.each(['expired', 'revoked', 'reused', 'unknown_session'] as const)('%s', async (reason) => {
    const { client, sessionId } = await signUp(backend);
    const { sql } = backend.app;
    const token = client.storage.token;
    if (reason === 'expired') await passTime(sql, 31 * 86_400, [sessionId]);
    if (reason === 'unknown_session') await sql.query('DELETE FROM sessions WHERE id = $1', [sessionId]);
    if (reason === 'revoked') await backend.app.post('/logout', { refresh_token: token });
    if (reason === 'reused') {
      await backend.app.refresh(token ?? '');
      await passTime(sql, 60, [sessionId]);
    }
    const app = restart(backend, client);
    expect(await errorOf(app.accessToken())).toMatchObject({ code: 'signed_out', reason });
    await flushCallbacks();
    expect(app.events).toEqual([reason]);
    expect(app.storage.token).toBeUndefined();
    expect(await errorOf(app.fetch('/me'))).toMatchObject({ code: 'signed_out', reason });
    expect(await app.resume()).toBeNull();
    expect(refreshes()).toHaveLength(1);
  });

  test('invalid, for a malformed token', async () => {
    const { client } = await signUp(backend);
    client.storage.token = 'ktr_of_no_service';
    const app = restart(backend, client);
    expect(await app.resume()).toBeNull();
    await flushCallbacks();
    expect(app.events).toEqual(['invalid']);
  });
});

test('without a stored token, resume returns null without an event or a request', async () => {
  const { client } = await signUp(backend);
  await client.logout();
  backend.proxy.requests.length = 0;
  const app = restart(backend, client);
  expect(await app.resume()).toBeNull();
  expect(app.events).toEqual([]);
  expect(backend.proxy.requests).toEqual([]);
});

/** What the network can do to a request, with the code of the error. */
const faults: [name: string, fault: Fault, code: string][] = [
  ['a lost request', 'loseRequest', 'network'],
  ['a lost response', 'loseResponse', 'network'],
  ['a truncated response', 'cutResponse', 'network'],
  ['half a response with a matching content length', 'halveResponse', 'invalid_response'],
  ['a response that never arrives', 'withholdResponse', 'timeout'],
  ['a captive portal', 'portal', 'invalid_response'],
  [
    'a 502 with HTML',
    { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad Gateway</h1>' },
    'invalid_response',
  ],
  [
    'a 401 with HTML',
    { status: 401, headers: { 'content-type': 'text/html' }, body: '<h1>Who?</h1>' },
    'invalid_response',
  ],
  ['an empty 200', { status: 200 }, 'invalid_response'],
  [
    'JSON of another service',
    { status: 200, headers: { 'content-type': 'application/json' }, body: '[1]' },
    'invalid_response',
  ],
  [
    'JSON with a wrong type',
    { status: 403, headers: { 'content-type': 'application/json' }, body: '{"code":"x"}' },
    'invalid_response',
  ],
  ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }, 'network'],
];

describe('every call rejects with a KeyturnError and keeps the session after', () => {
  test.each(faults)('%s', async (_, fault, code) => {
    const { client, email, sessionId } = await signUp(backend);
    const app = restart(backend, client, { retryTimeoutMs: 100, ...timeLimitFor(fault) });
    const registration = { email: freshEmail(), password, display_name: displayName };
    backend.failAll(fault);
    const calls = {
      accessToken: () => app.accessToken(),
      resume: () => app.resume(),
      fetch: () => app.fetch('/me'),
      login: () => app.login({ email, password }),
      register: () => app.register(registration),
    };
    for (const [name, call] of Object.entries(calls))
      expect([name, await errorOf(call())]).toEqual([name, expect.objectContaining({ code, isTemporary: true })]);
    expect([app.events, app.storage.writes]).toEqual([[], client.storage.writes]);
    backend.recover();
    expect(await app.resume()).toMatchObject({ sessionId });
    if (fault === 'halveResponse') return; // a 204 has no half
    backend.failAll(fault);
    expect(await errorOf(app.logoutAll())).toMatchObject({ code, isTemporary: true });
    expect(app.events).toEqual([sessionId]);
    expect(await errorOf(app.logout())).toMatchObject({ code, isTemporary: true });
    await flushCallbacks();
    expect(app.events).toEqual([sessionId, 'logged_out']);
  });

  test.each(faults.filter(([, fault]) => typeof fault === 'string' && /lose|withhold/.test(fault)))(
    '%s of a call of fetch with an access token',
    async (_, fault, code) => {
      const { client } = await signUp(backend);
      backend.failAll(fault);
      const signal = fault === 'withholdResponse' ? AbortSignal.timeout(50) : null;
      expect(await errorOf(client.fetch('/me', { signal }))).toMatchObject({ code, isTemporary: true });
      expect(client.events).toHaveLength(1);
    },
  );
});

describe('fetch', () => {
  test('rejects with aborted if the app aborts the request, also while it waits for a refresh', async () => {
    const { client } = await signUp(backend);
    for (const app of [client, restart(backend, client)]) {
      backend.failAll('withholdResponse');
      const controller = new AbortController();
      const pending = errorOf(app.fetch('/me', { signal: controller.signal }));
      controller.abort();
      expect(await pending).toMatchObject({ code: 'aborted', isTemporary: false });
      expect(
        await errorOf(app.fetch(new Request(`${backend.proxy.baseUrl}/me`, { signal: controller.signal }))),
      ).toMatchObject({
        code: 'aborted',
      });
      backend.recover();
      expect((await app.fetch('/me')).status).toBe(200);
    }
  });

  test('rejects with invalid_request for invalid arguments', async () => {
    const { client } = await signUp(backend);
    const used = new Request(`${backend.proxy.baseUrl}/me`, { method: 'PATCH', body: '{}' });
    await used.text();
    const locked = new Blob(['x']).stream();
    locked.getReader();
    const inputs: unknown[] = [undefined, null, 5, {}, Symbol('x'), used];
    const options: unknown[] = [
      'POST',
      5,
      { headers: { 'not a header': 'x' } },
      { headers: 5 },
      { signal: {} },
      { signal: 'now' },
      { method: 'A B' },
      { method: Symbol('x') },
      { body: '{}' },
      { method: 'POST', body: Symbol('x') },
      { method: 'POST', body: locked, duplex: 'half' },
    ];
    const calls = [
      ...inputs.map((input) => () => client.fetch(input as string)),
      ...options.map((init) => () => client.fetch('/me', init as RequestInit)),
    ];
    for (const call of calls) expect([(await errorOf(call())).code, call]).toEqual(['invalid_request', call]);
    expect((await client.fetch('/me', null as unknown as RequestInit)).status).toBe(200);

    const cyclic: Record<string, unknown> = {};
    cyclic['email'] = cyclic;
    for (const value of [cyclic, { email: 1n }]) {
      expect((await errorOf(client.login(value as never))).code).toBe('invalid_request');
      expect((await errorOf(client.register(value as never))).code).toBe('invalid_request');
    }
    for (const value of [undefined, null, 5, 'ada', [], { email: 5 }]) {
      expect((await errorOf(client.login(value as never))).code).toBe('validation_failed');
      expect((await errorOf(client.register(value as never))).code).toBe('validation_failed');
    }
  });

  test('rejects with network if the `fetch` of the app throws at once', async () => {
    const { client } = await signUp(backend);
    const fetch = () => {
      throw new TypeError('offline');
    };
    const failing = restart(backend, client, { fetch, retryTimeoutMs: 1 });
    expect((await errorOf(failing.fetch('/me'))).code).toBe('network');
  });
});

test('a problem document with unexpected members is parsed without an exception', async () => {
  const { client } = await signUp(backend);
  const body = JSON.stringify({
    code: 'new_code',
    detail: 7,
    errors: [null, 1, { path: 'a', message: 'b' }],
    reason: 'new',
    instance: {},
  });
  backend.failAll({ status: 418, headers: { 'content-type': 'application/problem+json' }, body });
  const error = await errorOf(restart(backend, client).accessToken());
  expect(error).toMatchObject({
    code: 'new_code',
    status: 418,
    detail: 'new_code',
    errors: [{ path: 'a', message: 'b' }],
  });
  expect([error.reason, error.requestId]).toEqual([undefined, undefined]);
});

describe('after a lost response', () => {
  const registrationOf = (email: string) => ({ email, password, display_name: displayName });

  test('of a registration, the next call with the same credentials logs in', async () => {
    const client = makeTestClient(backend);
    const email = freshEmail();
    backend.failNext('/register', 'loseResponse');
    expect((await errorOf(client.register(registrationOf(email)))).code).toBe('network');
    expect(await client.register(registrationOf(email))).toMatchObject({ email, display_name: displayName });
    expect(client.session).not.toBeNull();
    expect((await client.fetch('/me')).status).toBe(200);
  });

  test("of a registration, the address of someone else's account stays taken", async () => {
    const { email } = await backend.app.register();
    const client = makeTestClient(backend);
    const registration = { ...registrationOf(email), password: 'the password of someone else' };
    backend.failNext('/register', 'loseResponse');
    expect((await errorOf(client.register(registration))).code).toBe('network');
    expect(await errorOf(client.register(registration))).toMatchObject({ code: 'email_taken', status: 409 });
    expect(client.session).toBeNull();
  });

  test('only a registration without a response is followed by a login', async () => {
    const { email } = await backend.app.register();
    const client = makeTestClient(backend);
    for (let calls = 0; calls < 2; calls += 1)
      expect((await errorOf(client.register(registrationOf(email)))).code).toBe('email_taken');
    expect(backend.requestsTo('/login')).toEqual([]);
  });

  test('of a logout everywhere, the client asks for another login, after which it is confirmed', async () => {
    const { client, email, sessionId } = await signUp(backend);
    backend.failNext('/logout/all', 'loseResponse', 'loseResponse');
    expect(await errorOf(client.logoutAll())).toMatchObject({
      code: 'signed_out',
      reason: 'revoked',
      detail: expect.stringContaining('Log in again'),
    });
    await flushCallbacks();
    expect(client.events).toEqual([sessionId, 'revoked']);
    expect(client.storage.token).toBeUndefined();
    expect(await backend.revokedReason(sessionId)).toBe('logout_all');
    await client.login({ email, password });
    await client.logoutAll();
  });
});

const tooMany = {
  status: 429,
  headers: { 'content-type': 'application/problem+json', 'retry-after': '0' },
  body: JSON.stringify({ code: 'rate_limited', status: 429 }),
};

test.each<[string, Fault]>([
  ['was refused', tooMany],
  ['had no response', 'loseRequest'],
])('a logout everywhere that %s rejects if only this session has ended', async (_, fault) => {
  const { client, email } = await signUp(backend);
  const { session_id: other } = (await backend.app.login(email)).body as { session_id: string };
  await backend.app.post('/logout', { refresh_token: client.storage.token });
  backend.failNext('/logout/all', fault);
  expect(await errorOf(client.logoutAll())).toMatchObject({ code: 'signed_out', reason: 'revoked' });
  expect(await backend.revokedReason(other)).toBeNull();
});

test('a logout everywhere of a session that was revoked before rejects with that reason', async () => {
  const { client, sessionId } = await signUp(backend);
  await backend.app.post('/logout', { refresh_token: client.storage.token });
  expect(await errorOf(client.logoutAll())).toMatchObject({ code: 'signed_out', reason: 'revoked' });
  await flushCallbacks();
  expect(client.events).toEqual([sessionId, 'revoked']);
});

test('rejects a timeoutMs that leaves no time for a retry within the grace period', () => {
  const create = (timeoutMs: number) =>
    createClient({ baseUrl: backend.proxy.baseUrl, transport: 'body', storage: makeStorage(), timeoutMs });
  expect(() => create(15_001)).toThrow(RangeError);
  expect(() => create(0)).toThrow(RangeError);
  expect(() => create(15_000)).not.toThrow();
});

test.each([
  undefined,
  null,
  {},
  { baseUrl: 5, transport: 'cookie' },
  { baseUrl: 'https://auth.example.com' },
  { baseUrl: 'https://auth.example.com', transport: 'header' },
  { baseUrl: 'https://auth.example.com', transport: 'body' },
  { baseUrl: 'https://auth.example.com', transport: 'cookie', apis: 'https://api.example.com' },
  { baseUrl: 'https://auth.example.com', transport: 'cookie', apis: [5] },
])('createClient throws a RangeError for %j', (options) => {
  expect(() => createClient(options as never)).toThrow(RangeError);
});

/** Replaces the clock of the device while `run` runs. The service shares it, but its database has the real time. */
async function withAdjustableClock(run: (advance: (seconds: number) => void) => Promise<void>): Promise<void> {
  const { now } = Date;
  let offsetMs = 0;
  Date.now = () => now() + offsetMs;
  try {
    await run((seconds) => void (offsetMs += seconds * 1000));
  } finally {
    Date.now = now;
  }
}
