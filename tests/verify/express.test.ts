import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express, { type ErrorRequestHandler, type Request } from 'express';
import {
  type AuthOptions,
  createVerifier,
  getAuth,
  requireAuth,
  requireOwner,
  requireScope,
} from '../../src/verify/index.ts';
import { audience, type Forger, issuer, makeForger, now, userId } from '../core/forger.ts';
import { exchange } from '../http/wire.ts';
import { makeFakeIssuer, publicKeys } from './fake-issuer.ts';

let service: Forger;
let server: Server;
let baseUrl: string;
let reasons: string[];
let isIssuerDown = false;
const handled: string[] = [];

async function start(options: AuthOptions = {}): Promise<void> {
  const fake = makeFakeIssuer(publicKeys(service));
  const withoutKeys = createVerifier({
    issuer,
    audience: audience[0],
    fetch: () => Promise.reject(new Error('down')),
    nowMs: () => now * 1000,
  });
  const verifier = { issuer, verify: (token: string) => (isIssuerDown ? withoutKeys : fake.verifier).verify(token) };
  const app = express();
  const broken = { issuer, verify: () => Promise.reject(new Error('unexpected')) };
  app.get('/broken-verifier', requireAuth(broken), (_req, res) => void res.send('open'));
  app.get('/without-auth', requireScope('profile'), (_req, res) => void res.send('open'));
  app.use(requireAuth(verifier, { onError: (error) => reasons.push(error.message), ...options }));
  app.get('/orders', requireScope('profile'), (req, res) => {
    handled.push(req.auth?.sub ?? '');
    res.json({ sub: req.auth?.sub, scopes: getAuth(req).scopes });
  });
  app.get('/admin', requireScope('users:write'), (_req, res) => void res.send('all'));
  const ownerOf = (req: Request<{ id: string }>) => (req.params.id === 'missing' ? undefined : req.params.id);
  app.get('/users/:id', requireOwner(ownerOf), (req, res) => void res.send(req.params.id));
  app.get(
    '/async/:id',
    requireOwner(async (req: Request<{ id: string }>) => req.params.id),
    (_req, res) => void res.send('own'),
  );
  app.get(
    '/broken-owner',
    requireOwner(() => Promise.reject(new Error('database'))),
    (_req, res) => void res.send('own'),
  );
  const errorHandler: ErrorRequestHandler = (error: Error, _req, res, _next) =>
    void res.status(500).send(error.message);
  app.use(errorHandler);
  server = createServer(app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  reasons = [];
  service = await makeForger();
  await start();
});
afterAll(() => void server.close());

async function get(path: string, authorization?: string) {
  const response = await fetch(`${baseUrl}${path}`, { headers: authorization === undefined ? {} : { authorization } });
  const text = await response.text();
  const { headers, status } = response;
  return { status, headers, text, challenge: headers.get('www-authenticate') };
}
const bearer = async (claims = {}) => `Bearer ${await service.sign(claims)}`;

const problem = (status: number, code: string) => ({
  type: `${issuer}/problems/${code.replaceAll('_', '-')}`,
  title: expect.any(String),
  status,
  detail: expect.any(String),
  code,
});

describe('requireAuth', () => {
  test('sets req.auth to the claims of a valid token', async () => {
    const { status, text } = await get('/orders', await bearer());
    expect([status, JSON.parse(text)]).toEqual([200, { sub: userId, scopes: ['profile', 'sessions'] }]);
  });

  test('accepts the scheme in any case (RFC 9110 section 11.1)', async () => {
    expect((await get('/orders', (await bearer()).replace('Bearer', 'bEARER'))).status).toBe(200);
  });

  test.each([undefined, '', 'Basic YTpi', 'Bearer', 'Bearer ', 'Bearer a b'])(
    'returns 401 without an error code for the header %j, which contains no token',
    async (authorization) => {
      const { status, text, challenge, headers } = await get('/orders', authorization);
      expect([status, challenge]).toEqual([401, 'Bearer realm="api"']);
      expect(JSON.parse(text)).toEqual(problem(401, 'invalid_access_token'));
      expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
      expect(headers.get('cache-control')).toBe('no-store');
    },
  );

  test('returns invalid_token for an invalid token, and the reason only to onError', async () => {
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

  test('returns invalid_request for two Authorization headers (RFC 6750 section 3.1)', async () => {
    const authorization = await bearer();
    const response = await exchange(
      baseUrl,
      `GET /orders HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nAuthorization: ${authorization}\r\nConnection: close\r\n\r\n`,
    );
    expect(response).toMatch(/^HTTP\/1\.1 400 /);
    expect(response).toContain('WWW-Authenticate: Bearer realm="api", error="invalid_request"');
  });

  test('ignores a token in the URL', async () => {
    const [, token = ''] = (await bearer()).split(' ');
    expect((await get(`/orders?access_token=${token}`)).status).toBe(401);
  });

  test('returns 503 with Retry-After while the keys are unavailable', async () => {
    isIssuerDown = true;
    const { status, text, headers, challenge } = await get('/orders', await bearer());
    isIssuerDown = false;
    expect([status, challenge, headers.get('retry-after')]).toEqual([503, null, '1']);
    expect(JSON.parse(text)).toEqual(problem(503, 'not_ready'));
  });

  test('passes an unexpected error of the verifier to the error handler', async () => {
    expect(await get('/broken-verifier', await bearer())).toMatchObject({ status: 500, text: 'unexpected' });
  });

  test('copies no part of a token into a response header', async () => {
    const evil = service.craft(
      { alg: 'ES256', typ: 'at+jwt', kid: 'x"\r\nX-Injected: 1' },
      { iss: 'a"\r\nX-Injected: 1' },
    );
    const { status, headers, challenge } = await get('/orders', `Bearer ${evil}`);
    expect([status, challenge]).toEqual([401, 'Bearer realm="api", error="invalid_token"']);
    expect(headers.has('x-injected')).toBe(false);
  });

  test('throws for a realm that would end its quoted string', () => {
    for (const realm of ['a"b', 'a\\b', 'a\r\nb', ''])
      expect(() => requireAuth(createVerifier({ issuer, audience: 'a' }), { realm })).toThrow(TypeError);
  });
});

describe('requireScope', () => {
  test('returns insufficient_scope and the name of the missing scope', async () => {
    const { status, text, challenge } = await get('/admin', await bearer());
    expect([status, challenge]).toEqual([403, 'Bearer realm="api", error="insufficient_scope", scope="users:write"']);
    expect(JSON.parse(text)).toEqual(problem(403, 'insufficient_scope'));
  });

  test.each(['profiles', 'my-profile', 'PROFILE', 'profile.read', ''])(
    'returns 403 for the similar scope %j',
    async (scope) => {
      expect((await get('/orders', await bearer({ scope }))).status).toBe(403);
    },
  );

  test('fails without requireAuth', async () => {
    const { status, text } = await get('/without-auth', await bearer());
    expect([status, text]).toEqual([500, 'Use requireAuth before this middleware.']);
  });

  test('throws for an invalid scope name', () => {
    for (const scope of ['a b', 'a"', 'a\\', '', 'a\r\nb']) expect(() => requireScope(scope)).toThrow(TypeError);
  });
});

describe('requireOwner', () => {
  test('accepts the owner, from a value or a promise', async () => {
    expect((await get(`/users/${userId}`, await bearer())).text).toBe(userId);
    expect((await get(`/async/${userId}`, await bearer())).status).toBe(200);
  });

  test('returns the same 404 for a resource of another user and a missing one', async () => {
    const [foreign, missing] = [
      await get('/users/someone', await bearer()),
      await get('/users/missing', await bearer()),
    ];
    expect([foreign.status, foreign.text, foreign.challenge]).toEqual([404, missing.text, null]);
    expect(JSON.parse(foreign.text)).toEqual(problem(404, 'not_found'));
    expect([missing.status, [...missing.headers.keys()]]).toEqual([404, [...foreign.headers.keys()]]);
  });

  test('passes an error of ownerOf to the error handler', async () => {
    expect(await get('/broken-owner', await bearer())).toMatchObject({ status: 500, text: 'database' });
  });
});
