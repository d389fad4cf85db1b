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

interface SlowClient {
  /** Sent repeatedly after the opening. */
  drip?: string;
  everyMs?: number;
  /** Whether the client reads responses. */
  reads?: boolean;
}

/**
 * Connects a client that never closes its connection. Returns the responses and the time until the service closed the
 * connection. Rejects if it does not within twenty seconds.
 */
async function connectSlowly(opening: string, { drip = '', everyMs = 40, reads = true }: SlowClient = {}) {
  const port = Number(new URL(app.baseUrl).port);
  const accepted = once(app.server, 'connection');
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true }).on('error', () => {});
  const [serverSocket] = (await accepted) as [NodeJS.EventEmitter];
  const ended = new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  const startedMs = performance.now();
  let received = '';
  if (reads) socket.setEncoding('latin1').on('data', (text: string) => (received += text));
  if (opening) socket.write(opening);
  const dripping = drip ? setInterval(() => socket.write(drip), everyMs) : undefined;
  try {
    await once(serverSocket, 'close', { signal: AbortSignal.timeout(20_000) });
    if (reads) await ended;
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
const slackMs = 10_000;

describe('the service closes the connection of a client that is too slow', () => {
  test('to send its first byte', async () => {
    const { ms, received } = await connectSlowly('');
    expectTimeout(received);
    expect(ms).toBeGreaterThan(limits.headersMs + limits.lingerMs);
    expect(ms).toBeLessThan(limits.headersMs + limits.lingerMs + slackMs);
  });

  test('to send its headers, even if bytes keep arriving', async () => {
    const { ms, received } = await connectSlowly('GET /healthz HTTP/1.1\r\nX-A: ', { drip: 'a' });
    expectTimeout(received);
    expect(ms).toBeLessThan(limits.headersMs + limits.lingerMs + slackMs);
  });

  test('to send the headers of its second request', async () => {
    const { ms, received, statuses } = await connectSlowly(`${health}GET /healthz HTTP/1.1\r\nX-A: `, { drip: 'a' });
    expect(statuses).toEqual([200, 408]);
    expectTimeout(received.slice(received.lastIndexOf('HTTP/1.1')));
    expect(ms).toBeLessThan(limits.headersMs + limits.lingerMs + slackMs);
  });

  test.each([
    ['with Content-Length', head('POST /login', json, 'Content-Length: 1000') + '{', ' '],
    ['in chunks', head('POST /login', json, 'Transfer-Encoding: chunked'), '1\r\n \r\n'],
  ])('to send its body %s, even if bytes keep arriving', async (_, opening, drip) => {
    const { ms, received } = await connectSlowly(opening, { drip });
    expectTimeout(received);
    expect(ms).toBeGreaterThan(limits.requestMs);
    expect(ms).toBeLessThan(limits.requestMs + limits.lingerMs + slackMs);
  });

  test('to send its next request', async () => {
    const { ms, statuses } = await connectSlowly(health);
    expect(statuses).toEqual([200]);
    expect(ms).toBeGreaterThan(limits.keepAliveMs);
    expect(ms).toBeLessThan(limits.keepAliveMs + slackMs + 1000); // Node adds up to a second
  });

  test('to send its next request, even if it sends empty lines, which may precede a request', async () => {
    const { ms, statuses } = await connectSlowly(health, { drip: '\r\n' });
    expect(statuses).toEqual([200]);
    expect(ms).toBeLessThan(limits.keepAliveMs + limits.headersMs + slackMs);
  });

  test('to read its responses', async () => {
    const { ms } = await connectSlowly(head('GET /openapi.json').repeat(200), { reads: false });
    expect(ms).toBeGreaterThan(limits.responseMs);
    expect(ms).toBeLessThan(limits.responseMs + slackMs);
  });

  test('to read an error, even if it keeps sending', async () => {
    const { ms, received, statuses } = await connectSlowly('no HTTP\r\n\r\n', { drip: 'nor this\r\n' });
    expect(statuses).toEqual([400]);
    expect(received).toContain('"code":"bad_request"');
    expect(ms).toBeLessThan(limits.lingerMs + slackMs);
  });
});

describe('the service does not close the connection', () => {
  test('of a client that sends its body in pieces', async () => {
    const body = JSON.stringify({ email: freshEmail(), password });
    const opening = head('POST /login', json, `Content-Length: ${body.length + 4}`, 'Connection: close') + body;
    const { statuses } = await connectSlowly(opening, { drip: ' ', everyMs: limits.requestMs / 8 });
    expect(statuses).toEqual([401]);
  });

  test('of a request whose processing takes longer than any timeout for clients', async () => {
    const shortLimits = {
      headersMs: 100,
      requestMs: 200,
      keepAliveMs: 100,
      responseMs: 100,
      lingerMs: 100,
      sweepMs: 20,
    };
    const slow = { ARGON2_MEMORY_KIB: '65536', ARGON2_ITERATIONS: '40', ARGON2_PARALLELISM: '1' };
    const slowApp = await startApp({ ...unlimited, ...slow }, { limits: shortLimits });
    const startedMs = performance.now();
    const { status } = await send(slowApp.baseUrl, '/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: freshEmail(), password }),
    });
    await slowApp.close();
    expect(status).toBe(401);
    expect(performance.now() - startedMs).toBeGreaterThan(shortLimits.requestMs + shortLimits.lingerMs);
  });
});

describe('each request gets exactly one response:', () => {
  test('a body that continues after its response gets no other response', async () => {
    const { statuses } = await connectSlowly(head('POST /login', 'Content-Length: 1000'), { drip: ' ' });
    expect(statuses).toEqual([415]);
  });

  test('an invalid request behind others in the same packet gets its error after their responses', async () => {
    const body = JSON.stringify({ email: freshEmail(), password });
    const login = head('POST /login', json, `Content-Length: ${body.length}`) + body;
    const { statuses } = await connectSlowly(`${login}${health}no HTTP\r\n\r\n`);
    expect(statuses).toEqual([401, 200, 400]);
  });
});

test('the default timeouts are 10 s for headers, 20 s for a request, and more than 60 s for the next request', async () => {
  const defaultApp = await startApp();
  const { headersTimeout, requestTimeout, keepAliveTimeout } = defaultApp.server;
  expect({ headersTimeout, requestTimeout }).toEqual({ headersTimeout: 10_000, requestTimeout: 20_000 });
  expect(keepAliveTimeout).toBeGreaterThan(60_000);
  expect(defaultLimits).toMatchObject({ responseMs: 30_000, lingerMs: 1000, sweepMs: 1000 });
  const { headers } = await send(defaultApp.baseUrl, '/healthz', { headers: { connection: 'keep-alive' } });
  expect(Number(/timeout=(\d+)/.exec(String(headers['keep-alive']))?.[1])).toBeGreaterThan(60);
  await defaultApp.close();
});

test('no slow connection is left open', async () => {
  expect(await promisify(app.server.getConnections.bind(app.server))()).toBe(0);
});
