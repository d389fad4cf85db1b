import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { defaultLimits } from '../../src/http/server/connections.ts';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { unlimited } from './attack.ts';
import { send } from './wire.ts';

const limits = { headersMs: 400, requestMs: 800, keepAliveMs: 500, responseMs: 600, lingerMs: 200, sweepMs: 50 };

let app: TestApp;
beforeAll(async () => {
  app = await startApp(unlimited, { limits });
});
afterAll(() => app.close());

interface Slowness {
  drip?: string;
  everyMs?: number;
  deaf?: boolean;
  to?: TestApp;
}

/**
 * Returns the response to a client that never closes, and after how long the service closed it. Rejects if it never does.
 */
async function letGo(opening: string, { drip = '', everyMs = 40, deaf = false, to = app }: Slowness = {}) {
  const port = Number(new URL(to.baseUrl).port);
  const accepted = once(to.server, 'connection');
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true }).on('error', () => {});
  const [theirs] = (await accepted) as [NodeJS.EventEmitter];
  const heard = new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  const startedMs = performance.now();
  let received = '';
  if (!deaf) socket.setEncoding('latin1').on('data', (text: string) => (received += text));
  if (opening) socket.write(opening);
  const dripping = drip ? setInterval(() => socket.write(drip), everyMs) : undefined;
  try {
    await once(theirs, 'close', { signal: AbortSignal.timeout(5000) });
    if (!deaf) await heard;
  } finally {
    clearInterval(dripping);
    socket.destroy();
  }
  const statuses = [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  return { ms: performance.now() - startedMs, received, statuses };
}

const head = (line: string, ...headers: string[]) =>
  [`${line} HTTP/1.1`, 'Host: auth.test', ...headers, '', ''].join('\r\n');
const json = 'Content-Type: application/json';
const health = head('GET /healthz');

const timedOut = { status: 408, title: 'Request Timeout', code: 'request_timeout' };

function expectTimeout(received: string): void {
  const [headers = '', body = ''] = received.split('\r\n\r\n');
  expect(headers).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  expect(headers).toMatch(/\r\nConnection: close(\r\n|$)/);
  expect(headers).toContain('\r\nContent-Type: application/problem+json; charset=utf-8');
  const problem = JSON.parse(body) as { instance: string };
  expect(problem).toMatchObject(timedOut);
  expect(headers).toContain(`X-Request-Id: ${problem.instance}`);
}

/** Tolerance for slow machines. */
const slackMs = 3000;

describe('a client has so long for', () => {
  test('its first byte', async () => {
    const { ms, received } = await letGo('');
    expectTimeout(received);
    expect(ms).toBeGreaterThan(limits.headersMs + limits.lingerMs);
    expect(ms).toBeLessThan(limits.headersMs + limits.lingerMs + slackMs);
  });

  test('its headers, however steadily they drip', async () => {
    const { ms, received } = await letGo('GET /healthz HTTP/1.1\r\nX-A: ', { drip: 'a' });
    expectTimeout(received);
    expect(ms).toBeLessThan(limits.headersMs + limits.lingerMs + slackMs);
  });

  test('the headers of its second request', async () => {
    const { ms, received, statuses } = await letGo(`${health}GET /healthz HTTP/1.1\r\nX-A: `, { drip: 'a' });
    expect(statuses).toEqual([200, 408]);
    expectTimeout(received.slice(received.lastIndexOf('HTTP/1.1')));
    expect(ms).toBeLessThan(limits.headersMs + limits.lingerMs + slackMs);
  });

  test.each([
    ['of a length', head('POST /login', json, 'Content-Length: 1000') + '{', ' '],
    ['in chunks', head('POST /login', json, 'Transfer-Encoding: chunked'), '1\r\n \r\n'],
  ])('its body, however steadily that drips: %s', async (_, opening, drip) => {
    const { ms, received } = await letGo(opening, { drip });
    expectTimeout(received);
    expect(ms).toBeGreaterThan(limits.requestMs);
    expect(ms).toBeLessThan(limits.requestMs + limits.lingerMs + slackMs);
  });

  test('its next request', async () => {
    const { ms, statuses } = await letGo(health);
    expect(statuses).toEqual([200]);
    expect(ms).toBeGreaterThan(limits.keepAliveMs);
    expect(ms).toBeLessThan(limits.keepAliveMs + slackMs + 1000); // Node adds up to a second
  });

  test('its next request, though it sends the empty lines that may come before one', async () => {
    const { ms, statuses } = await letGo(health, { drip: '\r\n' });
    expect(statuses).toEqual([200]);
    expect(ms).toBeLessThan(limits.keepAliveMs + limits.headersMs + slackMs);
  });

  test('taking its answers', async () => {
    const { ms } = await letGo(head('GET /openapi.json').repeat(200), { deaf: true });
    expect(ms).toBeGreaterThan(limits.responseMs);
    expect(ms).toBeLessThan(limits.responseMs + slackMs);
  });

  test('hearing that it is refused, though it sends on', async () => {
    const { ms, received, statuses } = await letGo('no HTTP\r\n\r\n', { drip: 'nor this\r\n' });
    expect(statuses).toEqual([400]);
    expect(received).toContain('"code":"bad_request"');
    expect(ms).toBeLessThan(limits.lingerMs + slackMs);
  });
});

describe('who is not slow is not cut:', () => {
  test('a body that comes in pieces', async () => {
    const body = JSON.stringify({ email: freshEmail(), password });
    const opening = head('POST /login', json, `Content-Length: ${body.length + 4}`, 'Connection: close') + body;
    const { statuses } = await letGo(opening, { drip: ' ', everyMs: limits.requestMs / 8 });
    expect(statuses).toEqual([401]);
  });

  test('a request that the service takes longer for than it would wait for a client', async () => {
    const shortest = { headersMs: 100, requestMs: 200, keepAliveMs: 100, responseMs: 100, lingerMs: 100, sweepMs: 20 };
    const slow = { ARGON2_MEMORY_KIB: '65536', ARGON2_ITERATIONS: '40', ARGON2_PARALLELISM: '1' };
    const slowApp = await startApp({ ...unlimited, ...slow }, { limits: shortest });
    const startedMs = performance.now();
    const { status } = await send(slowApp.baseUrl, '/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: freshEmail(), password }),
    });
    await slowApp.close();
    expect(status).toBe(401);
    expect(performance.now() - startedMs).toBeGreaterThan(shortest.requestMs + shortest.lingerMs);
  });
});

describe('an answer is never taken for the answer to another request:', () => {
  test('a body that drips on after its answer is not answered again', async () => {
    const { statuses } = await letGo(head('POST /login', 'Content-Length: 1000'), { drip: ' ' });
    expect(statuses).toEqual([415]);
  });

  test('what is refused behind a request in the same packet is refused after its answer', async () => {
    const body = JSON.stringify({ email: freshEmail(), password });
    const login = head('POST /login', json, `Content-Length: ${body.length}`) + body;
    const { statuses } = await letGo(`${login}${health}no HTTP\r\n\r\n`);
    expect(statuses).toEqual([401, 200, 400]);
  });
});

test('without such settings: 10 s for headers, 20 s for a request, longer than a load balancer for the next', async () => {
  const usual = await startApp();
  const { headersTimeout, requestTimeout, keepAliveTimeout } = usual.server;
  expect({ headersTimeout, requestTimeout }).toEqual({ headersTimeout: 10_000, requestTimeout: 20_000 });
  expect(keepAliveTimeout).toBeGreaterThan(60_000);
  expect(defaultLimits).toMatchObject({ responseMs: 30_000, lingerMs: 1000, sweepMs: 1000 });
  const { headers } = await send(usual.baseUrl, '/healthz', { headers: { connection: 'keep-alive' } });
  expect(Number(/timeout=(\d+)/.exec(String(headers['keep-alive']))?.[1])).toBeGreaterThan(60);
  await usual.close();
});

test('every slow connection is gone in the end', async () => {
  expect(await promisify(app.server.getConnections.bind(app.server))()).toBe(0);
});
