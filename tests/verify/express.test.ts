import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express, { type ErrorRequestHandler, type Request } from 'express';
import {
  type AuthOptions,
  authOf,
  createVerifier,
  requireAuth,
  requireOwner,
  requireScope,
} from '../../src/verify/index.ts';
import { audience, type Forger, issuer, makeForger, now, userId } from '../core/forger.ts';
import { exchange } from '../http/wire.ts';
import { fakeIssuer, publicKeys } from './issuer.ts';

let ours: Forger;
let server: Server;
let baseUrl: string;
let reasons: string[];
let down = false;
const handled: string[] = [];

async function start(options: AuthOptions = {}): Promise<void> {
  const keys = fakeIssuer(publicKeys(ours));
  const dead = createVerifier({
    issuer,
    audience: audience[0],
    fetch: () => Promise.reject(new Error('down')),
    nowMs: () => now * 1000,
  });
  const verifier = { issuer, verify: (token: string) => (down ? dead : keys.verifier).verify(token) };
  const app = express();
  const faulty = { issuer, verify: () => Promise.reject(new Error('a fault')) };
  app.get('/faulty', requireAuth(faulty), (_req, res) => void res.send('open'));
  app.get('/forgotten', requireScope('profile'), (_req, res) => void res.send('open'));
  app.use(requireAuth(verifier, { onRefused: (error) => reasons.push(error.message), ...options }));
  app.get('/orders', requireScope('profile'), (req, res) => {
    handled.push(req.auth?.sub ?? '');
    res.json({ sub: req.auth?.sub, scopes: authOf(req).scopes });
  });
  app.get('/admin', requireScope('users:write'), (_req, res) => void res.send('all'));
  const ownerOf = (req: Request<{ id: string }>) => (req.params.id === 'nothing' ? undefined : req.params.id);
  app.get('/users/:id', requireOwner(ownerOf), (req, res) => void res.send(req.params.id));
  app.get(
    '/later/:id',
    requireOwner(async (req: Request<{ id: string }>) => req.params.id),
    (_req, res) => void res.send('own'),
  );
  app.get(
    '/broken',
    requireOwner(() => Promise.reject(new Error('database'))),
    (_req, res) => void res.send('own'),
  );
  const last: ErrorRequestHandler = (error: Error, _req, res, _next) => void res.status(500).send(error.message);
  app.use(last);
  server = createServer(app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  reasons = [];
  ours = await makeForger();
  await start();
});
afterAll(() => void server.close());

async function get(path: string, authorization?: string) {
  const response = await fetch(`${baseUrl}${path}`, { headers: authorization === undefined ? {} : { authorization } });
  const text = await response.text();
  const { headers, status } = response;
  return { status, headers, text, challenge: headers.get('www-authenticate') };
}
const bearer = async (claims = {}) => `Bearer ${await ours.sign(claims)}`;

const problem = (status: number, code: string) => ({
  type: `${issuer}/problems/${code.replaceAll('_', '-')}`,
  title: expect.any(String),
  status,
  detail: expect.any(String),
  code,
});

describe('requireAuth', () => {
  test('lets a good token through, with its claims', async () => {
    const { status, text } = await get('/orders', await bearer());
    expect([status, JSON.parse(text)]).toEqual([200, { sub: userId, scopes: ['profile', 'sessions'] }]);
  });

  test('takes the scheme in any case (RFC 9110 section 11.1)', async () => {
    expect((await get('/orders', (await bearer()).replace('Bearer', 'bEARER'))).status).toBe(200);
  });

  test.each([undefined, '', 'Basic YTpi', 'Bearer', 'Bearer ', 'Bearer a b'])(
    'answers %j with a challenge that has no error code: there were no credentials',
    async (authorization) => {
      const { status, text, challenge, headers } = await get('/orders', authorization);
      expect([status, challenge]).toEqual([401, 'Bearer realm="api"']);
      expect(JSON.parse(text)).toEqual(problem(401, 'invalid_access_token'));
      expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
      expect(headers.get('cache-control')).toBe('no-store');
    },
  );

  test('answers a bad token invalid_token, and tells why only to the log', async () => {
    reasons = [];
    const handledBefore = handled.length;
    for (const authorization of [
      'Bearer x',
      await bearer({ exp: now - 60 }),
      await bearer({ aud: 'https://b.example.com' }),
    ]) {
      const { status, text, challenge } = await get('/orders', authorization);
      expect([status, challenge]).toEqual([401, 'Bearer realm="api", error="invalid_token"']);
      expect(JSON.parse(text)).toEqual(problem(401, 'invalid_access_token'));
      expect(text).not.toMatch(/exp"|aud/);
    }
    expect(reasons).toEqual([
      expect.stringContaining('JWS'),
      expect.stringContaining('exp'),
      expect.stringContaining('aud'),
    ]);
    expect(handled).toHaveLength(handledBefore);
  });

  test('answers two Authorization headers invalid_request (RFC 6750 section 3.1)', async () => {
    const good = await bearer();
    const answer = await exchange(
      baseUrl,
      `GET /orders HTTP/1.1\r\nHost: x\r\nAuthorization: ${good}\r\nAuthorization: ${good}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('WWW-Authenticate: Bearer realm="api", error="invalid_request"');
  });

  test('reads no token from the URL, and trusts no req.auth of others', async () => {
    const [, token = ''] = (await bearer()).split(' ');
    expect((await get(`/orders?access_token=${token}`)).status).toBe(401);
  });

  test('answers 503 with Retry-After while there are no keys: a 401 would sign people out', async () => {
    down = true;
    const { status, text, headers, challenge } = await get('/orders', await bearer());
    down = false;
    expect([status, challenge, headers.get('retry-after')]).toEqual([503, null, '1']);
    expect(JSON.parse(text)).toEqual(problem(503, 'not_ready'));
  });

  test('lets nobody in where the verifier has a fault', async () => {
    expect(await get('/faulty', await bearer())).toMatchObject({ status: 500, text: 'a fault' });
  });

  test('puts nothing of a token into a header', async () => {
    const evil = ours.craft(
      { alg: 'ES256', typ: 'at+jwt', kid: 'x"\r\nX-Injected: 1' },
      { iss: 'a"\r\nX-Injected: 1' },
    );
    const { status, headers, challenge } = await get('/orders', `Bearer ${evil}`);
    expect([status, challenge]).toEqual([401, 'Bearer realm="api", error="invalid_token"']);
    expect(headers.has('x-injected')).toBe(false);
  });

  test('refuses a realm that would end its quotes', () => {
    for (const realm of ['a"b', 'a\\b', 'a\r\nb', ''])
      expect(() => requireAuth(createVerifier({ issuer, audience: 'a' }), { realm })).toThrow(TypeError);
  });
});

describe('requireScope', () => {
  test('answers a token without it insufficient_scope, and names it', async () => {
    const { status, text, challenge } = await get('/admin', await bearer());
    expect([status, challenge]).toEqual([403, 'Bearer realm="api", error="insufficient_scope", scope="users:write"']);
    expect(JSON.parse(text)).toEqual(problem(403, 'insufficient_scope'));
  });

  test.each(['profiles', 'my-profile', 'PROFILE', 'profile.read', ''])(
    'takes a part of its name for another: %j',
    async (scope) => {
      expect((await get('/orders', await bearer({ scope }))).status).toBe(403);
    },
  );

  test('without requireAuth lets nobody in', async () => {
    const { status, text } = await get('/forgotten', await bearer());
    expect([status, text]).toEqual([500, 'requireAuth must stand before this']);
  });

  test('refuses what is no name of one scope', () => {
    for (const scope of ['a b', 'a"', 'a\\', '', 'a\r\nb']) expect(() => requireScope(scope)).toThrow(TypeError);
  });
});

describe('requireOwner', () => {
  test('lets the owner in, also where the answer takes time', async () => {
    expect((await get(`/users/${userId}`, await bearer())).text).toBe(userId);
    expect((await get(`/later/${userId}`, await bearer())).status).toBe(200);
  });

  test('answers what is someone else’s like what is not there', async () => {
    const [theirs, nothing] = [
      await get('/users/someone', await bearer()),
      await get('/users/nothing', await bearer()),
    ];
    expect([theirs.status, theirs.text, theirs.challenge]).toEqual([404, nothing.text, null]);
    expect(JSON.parse(theirs.text)).toEqual(problem(404, 'not_found'));
    expect([nothing.status, [...nothing.headers.keys()]]).toEqual([404, [...theirs.headers.keys()]]);
  });

  test('lets nobody in where it cannot tell', async () => {
    expect(await get('/broken', await bearer())).toMatchObject({ status: 500, text: 'database' });
  });
});
