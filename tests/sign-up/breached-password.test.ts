import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

const breached = 'vexing zebra in a breach';
const sha1 = createHash('sha1').update(breached).digest('hex').toUpperCase();

let ranges: Server;
let lookups: string[];
let status: number;
let redirectsTo: string | undefined;
let app: TestApp;

beforeAll(async () => {
  ranges = createServer((req, res) => {
    lookups.push(`${req.method} ${req.url}`);
    if (redirectsTo !== undefined) {
      res.writeHead(307, { location: redirectsTo }).end();
      return;
    }
    const lines = [`${'0'.repeat(35)}:0`, `${sha1.slice(5)}:42`];
    res.writeHead(status).end(lines.join('\r\n'));
  }).listen(0, '127.0.0.1');
  await once(ranges, 'listening');
  app = await startApp({ HIBP_URL: `http://127.0.0.1:${(ranges.address() as AddressInfo).port}/range` });
});
beforeEach(() => {
  lookups = [];
  status = 200;
  redirectsTo = undefined;
});
afterAll(async () => {
  await app.close();
  ranges.close();
});

const register = (secret: string) =>
  app.post('/register', { email: freshEmail(), password: secret, display_name: 'Grace Hopper' });

test('a breached password is refused, and the lookup contains only five digits of its SHA-1', async () => {
  const response = await register(breached);
  expect(response.status).toBe(400);
  expect(response.body.errors).toEqual([{ path: 'password', message: expect.stringContaining('data breach') }]);
  expect(lookups).toEqual([`GET /range/${sha1.slice(0, 5)}`]);
});

test('a password that was not breached is accepted', async () => {
  expect((await register(password)).status).toBe(201);
  expect(lookups).toHaveLength(1);
});

test('a password change looks the new password up', async () => {
  const { access_token: token } = await app.register();
  const response = await app.post('/me/password', { current_password: password, new_password: breached }, token);
  expect(response.status).toBe(400);
  expect(response.body.errors).toEqual([{ path: 'new_password', message: expect.stringContaining('data breach') }]);
});

test('a login looks nothing up', async () => {
  const { email } = await app.register();
  lookups = [];
  expect((await app.login(email)).status).toBe(200);
  expect(lookups).toEqual([]);
});

test('a lookup does not follow a redirect', async () => {
  redirectsTo = '/elsewhere';
  expect((await register(breached)).status).toBe(201);
  expect(lookups).toEqual([`GET /range/${sha1.slice(0, 5)}`]);
});

test('a registration succeeds if the lookup fails or is unavailable', async () => {
  status = 503;
  expect((await register(breached)).status).toBe(201);
  expect(lookups).toHaveLength(1);

  ranges.closeAllConnections();
  await new Promise((resolve) => ranges.close(resolve));
  expect((await register(breached)).status).toBe(201);
});
