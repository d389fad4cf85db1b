import { createPrivateKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { calculateJwkThumbprint, decodeProtectedHeader } from 'jose';
import { deriveMasterKeys, unseal } from '../../src/lib/master-keys.ts';
import { startApp, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

const path = '/.well-known/jwks.json';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

describe('the key set', () => {
  test('is a cacheable JWK Set that pages of any origin can read', async () => {
    const response = await app.get(path);
    expect(response.status).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': 'application/jwk-set+json',
      'cache-control': 'public, max-age=300, stale-while-revalidate=300',
      'access-control-allow-origin': '*',
      etag: expect.stringMatching(/^"[^"]+"$/),
    });
    expect(response.headers['access-control-allow-credentials']).toBeUndefined();
    expect(response.headers['set-cookie']).toBeUndefined();
    // The active key and the next one.
    expect(JSON.parse(response.text)).toEqual({ keys: [expect.any(Object), expect.any(Object)] });
  });

  test('contains only public members, with the thumbprint as key id', async () => {
    const { keys } = JSON.parse((await app.get(path)).text);
    for (const key of keys) {
      expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
      expect(key.kid).toBe(await calculateJwkThumbprint({ kty: key.kty, crv: key.crv, x: key.x, y: key.y }));
    }
    const { access_token: token } = await app.register();
    expect(keys.map(({ kid }: { kid: string }) => kid)).toContain(decodeProtectedHeader(token).kid);
  });

  test('omits unknown members, and the database rejects private ones', async () => {
    const settings = { MASTER_KEYS: Buffer.alloc(32, 4).toString('base64url') };
    const first = await startApp(settings);
    const add = (members: object) => first.db.signingKeys.addToPublicJwks(members);
    await add({ note: 'internal', extra: { d: 'secret' } });
    const second = await startApp(settings, { databaseUrl: first.databaseUrl });
    expect((await second.get(path)).text).toBe((await first.get(path)).text);
    await second.close();
    for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])
      await expect(add({ [member]: 'secret' })).rejects.toThrow(/signing_keys_public_only/);
    await first.close();
  });

  test('is cacheable for JWKS_MAX_AGE', async () => {
    const service = await startApp({ JWKS_MAX_AGE: '90s' });
    const { headers } = await service.get(path);
    expect(headers['cache-control']).toBe('public, max-age=90, stale-while-revalidate=90');
    await service.close();
  });

  test('is the same for concurrent first starts on one database', async () => {
    const settings = { MASTER_KEYS: Buffer.alloc(32, 3).toString('base64url') };
    const first = await startApp(settings);
    const others = await Promise.all([1, 2, 3].map(() => startApp(settings, { databaseUrl: first.databaseUrl })));
    const tags = await Promise.all([first, ...others].map(async ({ get }) => (await get(path)).headers['etag']));
    expect(new Set(tags).size).toBe(1);
    const { access_token: token } = await first.register();
    for (const other of others) expect((await other.get('/me', token)).status).toBe(200);
    await Promise.all(others.map((other) => other.close()));
    await first.close();
  });
});

describe('a conditional request', () => {
  const conditional = async (match: (etag: string) => string) => {
    const { headers } = await app.get(path);
    return app.get(path, undefined, { 'if-none-match': match(headers['etag'] ?? '') });
  };

  test.each([
    ['its tag', (etag: string) => etag],
    ['its tag as a weak tag', (etag: string) => `W/${etag}`],
    ['its tag among others', (etag: string) => `"other", ${etag}`],
    ['anything', () => '*'],
  ])('with %s returns 304 with the headers and without the keys', async (_what, match) => {
    const { headers, status, text } = await conditional(match);
    expect(status).toBe(304);
    expect(text).toBe('');
    expect(headers).toMatchObject({
      'cache-control': 'public, max-age=300, stale-while-revalidate=300',
      'access-control-allow-origin': '*',
      etag: (await app.get(path)).headers['etag'],
    });
  });

  test.each([
    ['another tag', () => '"other"'],
    ['a part of its tag', (etag: string) => `${etag.slice(0, 5)}"`],
    ['its tag without quotes', (etag: string) => etag.replaceAll('"', '')],
  ])('with %s returns the keys', async (_what, match) => {
    const { status, text } = await conditional(match);
    expect(status).toBe(200);
    expect(JSON.parse(text).keys).toHaveLength(2);
  });
});

test('the database contains private keys only encrypted', async () => {
  const root = Buffer.alloc(32, 5);
  const service = await startApp({ MASTER_KEYS: root.toString('base64url') });
  const [key] = await service.db.select('signing_keys');
  const { kid, sealed_key: sealed, master_key_id: masterKeyId, public_jwk: publicJwk } = key ?? {};
  const dump = (await service.db.signingKeys.asText()).join('\n');
  await service.close();

  const [masterKey] = deriveMasterKeys([root]);
  const der = unseal(masterKey.encryption, kid, sealed);
  const { d = '' } = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
  const scalar = Buffer.from(d, 'base64url');

  expect(scalar).toHaveLength(32);
  expect(dump).toContain(kid);
  expect(dump).toContain(Buffer.from(sealed).toString('hex'));
  for (const secret of [scalar, der, root, masterKey.encryption])
    for (const encoding of ['hex', 'base64', 'base64url'] as const)
      expect(dump).not.toContain(secret.toString(encoding).replace(/=+$/, ''));
  expect(dump).not.toMatch(/PRIVATE KEY|""d""/);
  expect(publicJwk).not.toHaveProperty('d');
  expect(masterKeyId).toBe(masterKey.id);
  for (const other of deriveMasterKeys([Buffer.alloc(32, 6)]))
    expect(() => unseal(other.encryption, kid, sealed)).toThrow(/authenticate/);
  expect(() => unseal(masterKey.encryption, 'another key’s name', sealed)).toThrow(/authenticate/);
});

test('startup fails with instructions if no master key decrypts the signing key', async () => {
  const stranger = { MASTER_KEYS: Buffer.alloc(32, 8).toString('base64url') };
  await expect(startApp(stranger, { databaseUrl: app.databaseUrl })).rejects.toThrow(/MASTER_KEYS does not contain/);
});
