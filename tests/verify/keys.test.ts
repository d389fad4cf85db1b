import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createVerifier } from '../../src/verify/index.ts';
import { type Forger, issuer, makeForger } from '../core/forger.ts';
import { makeFakeIssuer, publicKeys, verdict } from './fake-issuer.ts';

let first: Forger;
let second: Forger;
let attacker: Forger;
beforeAll(async () => {
  [first, second, attacker] = await Promise.all([makeForger(), makeForger(), makeForger()]);
});

const longLived = { exp: 2_000_000_000 };
const connectionRefused = new Error('connect ECONNREFUSED');

describe('an unknown kid', () => {
  test('causes one fetch, and the token is accepted if its key is published', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    expect(await verdict(fake.verifier, await first.sign(longLived))).toBe('accepted');
    fake.keys = publicKeys(second, first);
    fake.advanceClock(10);
    expect(await verdict(fake.verifier, await second.sign(longLived))).toBe('accepted');
    expect(await verdict(fake.verifier, await first.sign(longLived))).toBe('accepted');
    expect(fake.fetched).toHaveLength(2);
  });

  test('causes at most one fetch per cooldown in a flood, and valid tokens are still accepted', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    const validToken = await first.sign(longLived);
    await fake.verifier.verify(validToken);
    for (let round = 1; round <= 3; round += 1) {
      fake.advanceClock(10);
      const flood = Array.from({ length: 500 }, (_, n) =>
        attacker.craft({ alg: 'ES256', typ: 'at+jwt', kid: `k${round}-${n}` }, {}),
      );
      const verdicts = await Promise.all([...flood, validToken].map((token) => verdict(fake.verifier, token)));
      expect(new Set(verdicts.slice(0, -1))).toEqual(new Set(['rejected']));
      expect(verdicts.at(-1)).toBe('accepted');
      for (const token of flood.slice(0, 50)) expect(await verdict(fake.verifier, token)).toBe('rejected');
      expect(fake.fetched).toHaveLength(1 + round);
    }
  });

  test('is reported as unavailable while the issuer is down, with one fetch per cooldown', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    await fake.verifier.verify(await first.sign(longLived));
    fake.keys = connectionRefused;
    fake.advanceClock(10);
    for (let n = 0; n < 20; n += 1)
      expect(await verdict(fake.verifier, await second.sign(longLived))).toBe('unavailable');
    expect(await verdict(fake.verifier, await first.sign(longLived))).toBe('accepted');
    expect(fake.fetched).toHaveLength(2);
  });
});

describe('cached keys', () => {
  test('are fetched once for concurrent tokens', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    const token = await first.sign(longLived);
    const verdicts = await Promise.all(Array.from({ length: 100 }, () => verdict(fake.verifier, token)));
    expect(new Set(verdicts)).toEqual(new Set(['accepted']));
    expect(fake.fetched).toHaveLength(1);
  });

  test.each([
    ['for the max-age of the issuer', 'public, max-age=60', 60],
    ['for five minutes without Cache-Control', undefined, 300],
    ['for at most an hour', 'max-age=999999', 3600],
    ['for one cooldown with max-age=0', 'max-age=0', 10],
  ])('are cached %s', async (_duration, cacheControl, seconds) => {
    const fake = makeFakeIssuer(publicKeys(first));
    fake.cacheControl = cacheControl;
    const token = await first.sign(longLived);
    await fake.verifier.verify(token);
    fake.advanceClock(seconds - 1);
    await fake.verifier.verify(token);
    expect(fake.fetched).toHaveLength(1);
    fake.advanceClock(1);
    await fake.verifier.verify(token);
    expect(fake.fetched).toHaveLength(2);
  });

  test('are used up to twice their max-age while new ones are fetched in the background', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    const token = await first.sign(longLived);
    await fake.verifier.verify(token);
    fake.advanceClock(300);
    let open = () => {};
    fake.gate = new Promise((resolve) => (open = resolve));
    expect(await verdict(fake.verifier, token)).toBe('accepted');
    expect(fake.fetched).toHaveLength(2);
    fake.keys = publicKeys(second);
    open();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await verdict(fake.verifier, token)).toBe('rejected');
  });

  test('are fetched again after twice their max-age, before a token of a revoked key is accepted', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    const token = await first.sign(longLived);
    await fake.verifier.verify(token);
    fake.keys = publicKeys(second);
    fake.advanceClock(600);
    expect(await verdict(fake.verifier, token)).toBe('rejected');
  });

  test('are used for exactly an hour after their max-age while the issuer is down', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    const token = await first.sign(longLived);
    await fake.verifier.verify(token);
    fake.keys = connectionRefused;
    for (const seconds of [301, 600, 2998]) {
      fake.advanceClock(seconds);
      expect(await verdict(fake.verifier, token)).toBe('accepted');
    }
    fake.advanceClock(1);
    expect(await verdict(fake.verifier, token)).toBe('unavailable');
    fake.keys = publicKeys(first);
    fake.advanceClock(10);
    expect(await verdict(fake.verifier, token)).toBe('accepted');
  });

  test('are fetched in the background once per cooldown while the issuer is down', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    const token = await first.sign(longLived);
    await fake.verifier.verify(token);
    fake.keys = connectionRefused;
    fake.advanceClock(700);
    for (let n = 0; n < 50; n += 1) expect(await verdict(fake.verifier, token)).toBe('accepted');
    expect(fake.fetched).toHaveLength(2);
    fake.gate = new Promise(() => {});
    fake.advanceClock(10);
    for (let n = 0; n < 50; n += 1) expect(await verdict(fake.verifier, token)).toBe('accepted');
    expect(fake.fetched).toHaveLength(3);
  });

  test('are fetched again after a second if the first fetch failed', async () => {
    const fake = makeFakeIssuer(connectionRefused);
    const token = await first.sign(longLived);
    for (let n = 0; n < 20; n += 1) expect(await verdict(fake.verifier, token)).toBe('unavailable');
    expect(fake.fetched).toHaveLength(1);
    fake.keys = publicKeys(first);
    fake.advanceClock(1);
    expect(await verdict(fake.verifier, token)).toBe('accepted');
  });

  test('are not replaced by an empty key set', async () => {
    const fake = makeFakeIssuer(publicKeys(first));
    const token = await first.sign(longLived);
    await fake.verifier.verify(token);
    fake.keys = [];
    fake.advanceClock(700);
    expect(await verdict(fake.verifier, token)).toBe('accepted');
  });
});

test.each([undefined, null, 7, {}, [], Symbol('token')])(
  'a token that is not a string is invalid: %p',
  async (token) => {
    const fake = makeFakeIssuer(publicKeys(first));
    expect(await verdict(fake.verifier, token as string)).toBe('rejected');
    expect(fake.fetched).toEqual([]);
  },
);

test('a key that the runtime cannot use makes the token invalid, not the process fail', async () => {
  const [key] = publicKeys(first);
  const fake = makeFakeIssuer([{ ...key, key_ops: [] }]);
  expect(await verdict(fake.verifier, await first.sign(longLived))).not.toBe('accepted');
});

describe('createVerifier', () => {
  const audience = 'https://api.example.com';
  test.each([
    ['for an http issuer', { issuer: 'http://auth.example.com', audience }],
    ['for a host that only starts with a loopback address', { issuer: 'http://127.0.0.1.example.com', audience }],
    ['for an issuer that is not a URL', { issuer: 'auth.example.com', audience }],
    ['for an issuer with a query', { issuer: `${issuer}?x`, audience }],
    ['without an audience', { issuer, audience: '' }],
    ['with an empty list of audiences', { issuer, audience: [] }],
    ['for a jwksUri that is not a URL', { issuer, audience, jwksUri: 'jwks.json' }],
    ['for an http jwksUri', { issuer, audience, jwksUri: 'http://auth.example.com/jwks.json' }],
    ['for an http jwksUri in a private network', { issuer, audience, jwksUri: 'http://10.0.0.7:3000/jwks.json' }],
    ['for an http jwksUri of an http issuer', { issuer: 'http://localhost', audience, jwksUri: 'http://keys/jwks' }],
    ['for a jwksUri that is a file', { issuer, audience, jwksUri: 'file:///etc/jwks.json' }],
  ])('throws %s', (_case, options) => {
    expect(() => createVerifier(options)).toThrow(TypeError);
  });

  test('does not throw for an http issuer on a loopback address', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]'])
      expect(createVerifier({ issuer: `http://${host}:3000`, audience }).issuer).toContain(host);
  });
});

describe('metadata of the issuer', () => {
  const jwks = 'https://keys.example.com/jwks';
  const withMetadata = (responses: Record<string, unknown>, tenant = '') => {
    const fetched: string[] = [];
    const verifier = createVerifier({
      issuer: `${issuer}${tenant}`,
      audience: 'https://api.example.com',
      async fetch(url) {
        fetched.push(url);
        return url in responses ? Response.json(responses[url]) : new Response('', { status: 404 });
      },
      nowMs: () => 1_800_000_000_000,
    });
    return { verifier, fetched };
  };

  test('is read from a path between the host and the path of the issuer', async () => {
    const document = `${issuer}/.well-known/oauth-authorization-server/tenant`;
    const responses = {
      [document]: { issuer: `${issuer}/tenant`, jwks_uri: jwks },
      [jwks]: { keys: publicKeys(first) },
    };
    const { verifier, fetched } = withMetadata(responses, '/tenant');
    expect(await verdict(verifier, await first.sign({ iss: `${issuer}/tenant` }))).toBe('accepted');
    expect(fetched).toEqual([document, jwks]);
  });

  test.each([
    ['with another issuer', { issuer: `${issuer}/`, jwks_uri: jwks }],
    ['without a jwks_uri', { issuer }],
    ['with an http jwks_uri', { issuer, jwks_uri: 'http://keys.example.com/jwks' }],
  ])('%s is rejected', async (_case, metadata) => {
    const keys = { keys: publicKeys(first) };
    const document = `${issuer}/.well-known/oauth-authorization-server`;
    const { verifier, fetched } = withMetadata({
      [document]: metadata,
      [jwks]: keys,
      'http://keys.example.com/jwks': keys,
    });
    expect(await verdict(verifier, await first.sign())).toBe('unavailable');
    expect(fetched).toEqual([document]);
  });
});

describe('a real HTTP issuer', () => {
  const audience = 'https://api.example.com';
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });
  const serve = async (listener: RequestListener): Promise<string> => {
    const server = createServer(listener).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const verdictWith = async (jwksUri: string, timeoutSeconds = 0.2) => {
    const options = { issuer, audience, jwksUri, timeoutSeconds, nowMs: () => 1_800_000_000_000 };
    return verdict(createVerifier(options), await first.sign());
  };
  const sendKeys: RequestListener = (_req, res) => void res.end(JSON.stringify({ keys: publicKeys(first) }));

  test('provides the keys', async () => {
    expect(await verdictWith(await serve(sendKeys), 10)).toBe('accepted');
  });

  test('counts as down if it redirects', async () => {
    const target = await serve(sendKeys);
    expect(await verdictWith(await serve((_req, res) => void res.writeHead(302, { location: target }).end()))).toBe(
      'unavailable',
    );
  });

  test.each([
    ['it never responds', () => {}],
    ['its response never ends', (_req, res) => void res.write('{"keys":[')],
    ['it responds with 500', (_req, res) => void res.writeHead(500).end(JSON.stringify({ keys: publicKeys(first) }))],
    ['it responds with HTML', (_req, res) => void res.end('<html>')],
    ['it responds without keys', (_req, res) => void res.end('{"keys":[]}')],
    ['it responds with null', (_req, res) => void res.end('null')],
    ['its keys are not objects', (_req, res) => void res.end('{"keys":[null,1,"x",[]]}')],
    ['its response is empty', (_req, res) => void res.end()],
    [
      'its response breaks off',
      (_req, res) => void res.writeHead(200, { 'content-length': 99 }).write('{"k', () => res.destroy()),
    ],
    ['it closes the connection', (req) => void req.destroy()],
  ] satisfies [string, RequestListener][])('counts as down if %s', async (_case, listener) => {
    expect(await verdictWith(await serve(listener))).toBe('unavailable');
  });
});
