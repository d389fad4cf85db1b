import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createVerifier } from '../../src/verify/index.ts';
import { type Forger, issuer, makeForger } from '../core/forger.ts';
import { fakeIssuer, publicKeys, verdict } from './issuer.ts';

let first: Forger;
let second: Forger;
let stranger: Forger;
beforeAll(async () => {
  [first, second, stranger] = await Promise.all([makeForger(), makeForger(), makeForger()]);
});

const year = { exp: 2_000_000_000 };
const down = new Error('connect ECONNREFUSED');

describe('an unknown kid', () => {
  test('is asked for once, and is good once it is published', async () => {
    const fake = fakeIssuer(publicKeys(first));
    expect(await verdict(fake.verifier, await first.sign(year))).toBe('accepted');
    fake.keys = publicKeys(second, first);
    fake.step(10);
    expect(await verdict(fake.verifier, await second.sign(year))).toBe('accepted');
    expect(await verdict(fake.verifier, await first.sign(year))).toBe('accepted');
    expect(fake.fetched).toHaveLength(2);
  });

  test('in a flood brings about one fetch a cooldown, while good tokens pass', async () => {
    const fake = fakeIssuer(publicKeys(first));
    const good = await first.sign(year);
    await fake.verifier.verify(good);
    for (let minute = 1; minute <= 3; minute += 1) {
      fake.step(10);
      const flood = Array.from({ length: 500 }, (_, n) =>
        stranger.craft({ alg: 'ES256', typ: 'at+jwt', kid: `k${minute}-${n}` }, {}),
      );
      const said = await Promise.all([...flood, good].map((token) => verdict(fake.verifier, token)));
      expect(new Set(said.slice(0, -1))).toEqual(new Set(['refused']));
      expect(said.at(-1)).toBe('accepted');
      for (const token of flood.slice(0, 50)) expect(await verdict(fake.verifier, token)).toBe('refused');
      expect(fake.fetched).toHaveLength(1 + minute);
    }
  });

  test('while the issuer is down cannot be judged, and is not asked for oftener', async () => {
    const fake = fakeIssuer(publicKeys(first));
    await fake.verifier.verify(await first.sign(year));
    fake.keys = down;
    fake.step(10);
    for (let n = 0; n < 20; n += 1) expect(await verdict(fake.verifier, await second.sign(year))).toBe('unavailable');
    expect(await verdict(fake.verifier, await first.sign(year))).toBe('accepted');
    expect(fake.fetched).toHaveLength(2);
  });
});

describe('the keys', () => {
  test('are fetched once for as many as come at once', async () => {
    const fake = fakeIssuer(publicKeys(first));
    const token = await first.sign(year);
    const said = await Promise.all(Array.from({ length: 100 }, () => verdict(fake.verifier, token)));
    expect(new Set(said)).toEqual(new Set(['accepted']));
    expect(fake.fetched).toHaveLength(1);
  });

  test.each([
    ['as long as the issuer says', 'public, max-age=60', 60],
    ['for five minutes where it says nothing', undefined, 300],
    ['for an hour at most', 'max-age=999999', 3600],
    ['not past a cooldown where it says no time at all', 'max-age=0', 10],
  ])('are kept %s', async (_how, cacheControl, seconds) => {
    const fake = fakeIssuer(publicKeys(first));
    fake.cacheControl = cacheControl;
    const token = await first.sign(year);
    await fake.verifier.verify(token);
    fake.step(seconds - 1);
    await fake.verifier.verify(token);
    expect(fake.fetched).toHaveLength(1);
    fake.step(1);
    await fake.verifier.verify(token);
    expect(fake.fetched).toHaveLength(2);
  });

  test('that are a little old serve on while the new ones are fetched', async () => {
    const fake = fakeIssuer(publicKeys(first));
    const token = await first.sign(year);
    await fake.verifier.verify(token);
    fake.step(300);
    let open = () => {};
    fake.gate = new Promise((resolve) => (open = resolve));
    expect(await verdict(fake.verifier, token)).toBe('accepted');
    expect(fake.fetched).toHaveLength(2);
    fake.keys = publicKeys(second);
    open();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await verdict(fake.verifier, token)).toBe('refused');
  });

  test('that are twice as old are not served before the issuer was asked: a withdrawn one is gone', async () => {
    const fake = fakeIssuer(publicKeys(first));
    const token = await first.sign(year);
    await fake.verifier.verify(token);
    fake.keys = publicKeys(second);
    fake.step(600);
    expect(await verdict(fake.verifier, token)).toBe('refused');
  });

  test('serve on for an hour after they have gone stale while the issuer is down, and no longer', async () => {
    const fake = fakeIssuer(publicKeys(first));
    const token = await first.sign(year);
    await fake.verifier.verify(token);
    fake.keys = down;
    for (const seconds of [301, 600, 2998]) {
      fake.step(seconds);
      expect(await verdict(fake.verifier, token)).toBe('accepted');
    }
    fake.step(1);
    expect(await verdict(fake.verifier, token)).toBe('unavailable');
    fake.keys = publicKeys(first);
    fake.step(10);
    expect(await verdict(fake.verifier, token)).toBe('accepted');
  });

  test('are asked for once a cooldown while the issuer is down, and nobody waits for it', async () => {
    const fake = fakeIssuer(publicKeys(first));
    const token = await first.sign(year);
    await fake.verifier.verify(token);
    fake.keys = down;
    fake.step(700);
    for (let n = 0; n < 50; n += 1) expect(await verdict(fake.verifier, token)).toBe('accepted');
    expect(fake.fetched).toHaveLength(2);
    fake.gate = new Promise(() => {});
    fake.step(10);
    for (let n = 0; n < 50; n += 1) expect(await verdict(fake.verifier, token)).toBe('accepted');
    expect(fake.fetched).toHaveLength(3);
  });

  test('that never came are asked for again after a second', async () => {
    const fake = fakeIssuer(down);
    const token = await first.sign(year);
    for (let n = 0; n < 20; n += 1) expect(await verdict(fake.verifier, token)).toBe('unavailable');
    expect(fake.fetched).toHaveLength(1);
    fake.keys = publicKeys(first);
    fake.step(1);
    expect(await verdict(fake.verifier, token)).toBe('accepted');
  });

  test('are not replaced by an answer that is none', async () => {
    const fake = fakeIssuer(publicKeys(first));
    const token = await first.sign(year);
    await fake.verifier.verify(token);
    fake.keys = [];
    fake.step(700);
    expect(await verdict(fake.verifier, token)).toBe('accepted');
  });
});

describe('a verifier is not made', () => {
  const audience = 'https://api.example.com';
  test.each([
    ['for an issuer without TLS', { issuer: 'http://auth.example.com', audience }],
    ['for a host that only looks local', { issuer: 'http://127.0.0.1.example.com', audience }],
    ['for no address', { issuer: 'auth.example.com', audience }],
    ['for an issuer with a query', { issuer: `${issuer}?x`, audience }],
    ['without an audience', { issuer, audience: '' }],
    ['with no audience of a list', { issuer, audience: [] }],
    ['for keys at no address', { issuer, audience, jwksUri: 'jwks.json' }],
  ])('%s', (_why, options) => {
    expect(() => createVerifier(options)).toThrow(TypeError);
  });

  test('but for one on this machine', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]'])
      expect(createVerifier({ issuer: `http://${host}:3000`, audience }).issuer).toContain(host);
  });
});

describe('metadata', () => {
  const jwks = 'https://keys.example.com/jwks';
  const withMetadata = (answers: Record<string, unknown>, tenant = '') => {
    const fetched: string[] = [];
    const verifier = createVerifier({
      issuer: `${issuer}${tenant}`,
      audience: 'https://api.example.com',
      async fetch(url) {
        fetched.push(url);
        return url in answers ? Response.json(answers[url]) : new Response('', { status: 404 });
      },
      nowMs: () => 1_800_000_000_000,
    });
    return { verifier, fetched };
  };

  test('stands between the host and the issuer’s path, and says where the keys are', async () => {
    const document = `${issuer}/.well-known/oauth-authorization-server/tenant`;
    const answers = { [document]: { issuer: `${issuer}/tenant`, jwks_uri: jwks }, [jwks]: { keys: publicKeys(first) } };
    const { verifier, fetched } = withMetadata(answers, '/tenant');
    expect(await verdict(verifier, await first.sign({ iss: `${issuer}/tenant` }))).toBe('accepted');
    expect(fetched).toEqual([document, jwks]);
  });

  test.each([
    ['of another issuer', { issuer: `${issuer}/`, jwks_uri: jwks }],
    ['without an address of keys', { issuer }],
    ['that sends for the keys without TLS', { issuer, jwks_uri: 'http://keys.example.com/jwks' }],
  ])('%s is not believed', async (_what, metadata) => {
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

describe('an issuer over HTTP', () => {
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
  const judge = async (jwksUri: string) => {
    const options = { issuer, audience, jwksUri, timeoutSeconds: 0.2, nowMs: () => 1_800_000_000_000 };
    return verdict(createVerifier(options), await first.sign());
  };
  const answerKeys: RequestListener = (_req, res) => void res.end(JSON.stringify({ keys: publicKeys(first) }));

  test('is believed as it is', async () => {
    expect(await judge(await serve(answerKeys))).toBe('accepted');
  });

  test('that sends elsewhere is not followed', async () => {
    const elsewhere = await serve(answerKeys);
    expect(await judge(await serve((_req, res) => void res.writeHead(302, { location: elsewhere }).end()))).toBe(
      'unavailable',
    );
  });

  test.each([
    ['that never answers', () => {}],
    ['that never ends', (_req, res) => void res.write('{"keys":[')],
    [
      'that answers with an error',
      (_req, res) => void res.writeHead(500).end(JSON.stringify({ keys: publicKeys(first) })),
    ],
    ['that answers with no JSON', (_req, res) => void res.end('<html>')],
    ['that answers with no keys', (_req, res) => void res.end('{"keys":[]}')],
    ['that answers null', (_req, res) => void res.end('null')],
  ] satisfies [string, RequestListener][])('%s counts as down', async (_what, listener) => {
    expect(await judge(await serve(listener))).toBe('unavailable');
  });
});
