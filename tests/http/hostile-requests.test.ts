import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { exchange, send, summaryOf } from './wire.ts';

/** Part of every hostile value; no response may repeat it. */
const canary = 'canary7f3a';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
afterEach(async () => {
  const { status } = await send(app.baseUrl, '/healthz');
  if (status !== 200) throw new Error(`the server is not well: ${status}`);
});

const head = (line: string, ...headers: string[]) =>
  [line, 'Host: auth.test', 'Connection: close', ...headers, '', ''].join('\r\n');
const login = (headers: string[], body: string) =>
  head('POST /login HTTP/1.1', 'Content-Type: application/json', ...headers) + body;

async function refused(bytes: string | Uint8Array) {
  const received = await exchange(app.baseUrl, bytes);
  expect(received).not.toContain(canary);
  const { status, type, responses } = summaryOf(received);
  expect(responses).toBe(1);
  expect(type).toBe('application/problem+json');
  expect(received).toMatch(/^x-content-type-options: nosniff\r$/im);
  expect(received).toMatch(/^content-security-policy: default-src 'none';frame-ancestors 'none'\r$/im);
  const json = received.slice(received.indexOf('{'), received.lastIndexOf('}') + 1);
  expect(JSON.parse(json)).toMatchObject({ status, title: expect.any(String) });
  return status;
}

describe('a smuggled request is refused, and the connection is closed', () => {
  const hidden = `GET /healthz?${canary} HTTP/1.1\r\nHost: auth.test\r\n\r\n`;
  const chunked = 'Transfer-Encoding: chunked';

  test.each([
    ['Content-Length and chunked', login(['Content-Length: 4', chunked], `0\r\n\r\n${hidden}`)],
    ['chunked and Content-Length', login([chunked, 'Content-Length: 4'], `0\r\n\r\n${hidden}`)],
    ['two lengths', login(['Content-Length: 2', 'Content-Length: 3'], `{}${hidden}`)],
    ['two lengths in one', login(['Content-Length: 2, 3'], `{}${hidden}`)],
    ['the same length twice', login(['Content-Length: 2', 'Content-Length: 2'], `{}${hidden}`)],
    ['two hosts', head('GET /healthz HTTP/1.1', `hOST: ${canary}`)],
    ['a length with a sign', login(['Content-Length: +2'], `{}${hidden}`)],
    ['a negative length', login(['Content-Length: -2'], `{}${hidden}`)],
    ['a hexadecimal length', login(['Content-Length: 0x2'], `{}${hidden}`)],
    ['an endless length', login([`Content-Length: ${'9'.repeat(400)}`], `{}${hidden}`)],
    ['a space before the colon', login(['Content-Length : 2'], `{}${hidden}`)],
    ['an unknown transfer encoding', login(['Transfer-Encoding: xchunked'], `0\r\n\r\n${hidden}`)],
    ['chunked that is not last', login(['Transfer-Encoding: chunked, identity'], `0\r\n\r\n${hidden}`)],
    ['chunked twice', login([chunked, 'Transfer-Encoding: x'], `0\r\n\r\n${hidden}`)],
    ['a folded header', login(['X-A: b\r\n Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`)],
    ['a bare carriage return', login(['X-A: b\rTransfer-Encoding: chunked'], hidden)],
    ['a bare line feed', login(['X-A: b\nTransfer-Encoding: chunked'], hidden)],
    ['a bare line feed that ends the headers', `${login(['X-A: b'], '').slice(0, -2)}\n${hidden}`],
    ['a bare line feed after a chunk size', login([chunked], `2\n{}\r\n0\r\n\r\n${hidden}`)],
    ['a bare line feed after a chunk', login([chunked], `2\r\n{}\n0\r\n\r\n${hidden}`)],
    ['a chunk size that is not a number', login([chunked], `${canary}z\r\n{}\r\n0\r\n\r\n`)],
    ['a chunk that is longer than its size', login([chunked], `1\r\n{}${canary}\r\n0\r\n\r\n`)],
    ['an endless chunk extension', login([chunked], `1;${canary.repeat(10_000)}\r\n{\r\n0\r\n\r\n`)],
  ])('%s', async (_, bytes) => {
    expect(await refused(bytes)).toBe(400);
  });
});

describe('request lines and headers', () => {
  test.each([
    ['NUL', `/\0${canary}`],
    ['a space', `/ ${canary}`],
    ['a line feed', `/\n${canary}`],
    ['a backslash', `\\${canary}`],
    ['Latin-1', `/\xe9${canary}`],
    ['half an authority', `http://[${canary}/healthz`],
  ])('a target with %s returns 400', async (_, target) => {
    expect(await refused(Buffer.from(head(`GET ${target} HTTP/1.1`), 'latin1'))).toBe(400);
  });

  test.each(['/sessions/%zz', '/sessions/%', '/problems/%e0%a4', '/problems/%ff'])(
    'a path escape that is not UTF-8 returns 400: %s',
    async (path) => {
      expect(await refused(head(`${path.startsWith('/s') ? 'DELETE' : 'GET'} ${path}${canary} HTTP/1.1`))).toBe(400);
    },
  );

  test.each([
    '/%zz',
    '/healthz%00',
    '/problems/%00',
    '/healthz/..',
    '/x/../healthz',
    '/x/%2e%2e/healthz',
    '/healthz;a=b',
    '/.',
    '/*',
    '/healthz\x7f',
    '*',
    'healthz',
    '/.well-known/',
    '/problems/',
    '/problems/a%2fb',
    '/problems/a/b',
  ])('an unknown path returns 404: %s', async (path) => {
    const bytes = head(`GET ${path.replace('problems/', `problems/${canary}`)} HTTP/1.1`);
    expect([400, 404]).toContain(await refused(bytes));
  });

  test.each([
    ['a URL of 100 KB', head(`GET /${canary.repeat(10_000)} HTTP/1.1`)],
    ['a query of 100 KB', head(`GET /healthz?${canary.repeat(10_000)} HTTP/1.1`)],
    ['a header of 100 KB', head('GET /healthz HTTP/1.1', `X-A: ${canary.repeat(10_000)}`)],
    ['a token of 100 KB', head('GET /me HTTP/1.1', `Authorization: Bearer ${canary.repeat(10_000)}`)],
    ['10,000 headers', head('GET /healthz HTTP/1.1', ...Array.from({ length: 10_000 }, (_, i) => `X-${i}: ${canary}`))],
    ['10,000 headers of nothing', head('GET /healthz HTTP/1.1', ...Array.from({ length: 10_000 }, () => 'a:'))],
  ])('%s returns 431', async (_, bytes) => {
    expect(await refused(bytes)).toBe(431);
  });

  test.each([`${canary} /healthz HTTP/1.1`, 'GET /healthz HTTP/9.9', '\x16\x03\x01\x02\0\x01', '{}'])(
    'bytes that are not HTTP return 400: %j',
    async (line) => {
      expect(await refused(head(line))).toBe(400);
    },
  );

  test('a request without Host or with an unknown expectation is refused without a body', async () => {
    const anonymous = await exchange(app.baseUrl, `GET /healthz?${canary} HTTP/1.1\r\nConnection: close\r\n\r\n`);
    expect(summaryOf(anonymous)).toMatchObject({ status: 400, responses: 1 });
    const expecting = await exchange(app.baseUrl, login([`Expect: ${canary}`, 'Content-Length: 2'], '{}'));
    expect(summaryOf(expecting)).toMatchObject({ status: 417, responses: 1 });
    expect(anonymous + expecting).not.toContain(canary);
  });

  test('CONNECT opens no tunnel', async () => {
    expect(await exchange(app.baseUrl, head(`CONNECT 127.0.0.1:1 HTTP/1.1`))).not.toMatch(/^HTTP\/1\.1 [12]/);
  });
});

test('the host of a request is ignored, even in absolute form', async () => {
  const path = '/.well-known/oauth-authorization-server';
  const bytes = `GET http://${canary}.example${path} HTTP/1.1\r\nHost: ${canary}.example\r\nX-Forwarded-Host: ${canary}\r\nConnection: close\r\n\r\n`;
  const received = await exchange(app.baseUrl, bytes);
  expect(summaryOf(received)).toMatchObject({ status: 200, responses: 1 });
  expect(received).toContain(`"issuer":"${app.config.issuer}"`);
  expect(received).not.toContain(canary);
});

test('pipelined requests get their responses in order', async () => {
  const keep = 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n';
  const received = await exchange(app.baseUrl, keep + keep + head('GET /nowhere HTTP/1.1'));
  expect([...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '200', '404']);
});

test('a client that disconnects during its request affects no other client', async () => {
  for (const part of [
    'POST /log',
    login(['Content-Length: 100'], '{"email":'),
    login(['Transfer-Encoding: chunked'], '5\r\n{'),
  ]) {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(app.baseUrl).port) });
    await once(socket, 'connect');
    socket.write(part);
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.resetAndDestroy();
    await once(socket, 'close');
  }
  expect((await app.register()).scope).toBe('profile sessions');
});
