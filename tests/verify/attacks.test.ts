import { createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { CompactEncrypt, CompactSign, exportJWK, exportSPKI, FlattenedSign, UnsecuredJWT } from 'jose';
import { audience, base64url, type Forger, goodClaims, issuer, makeForger, now } from '../core/forger.ts';
import { type FakeIssuer, jwksUri, makeFakeIssuer, publicKeys, verdict } from './fake-issuer.ts';

let service: Forger;
let attacker: Forger;
let rsa: Forger;
let fake: FakeIssuer;
let valid: string;
beforeAll(async () => {
  [service, attacker, rsa] = await Promise.all([makeForger(), makeForger(), makeForger('RS256')]);
  fake = makeFakeIssuer(publicKeys(service, rsa));
  valid = await service.sign();
});

const verify = (token: string) => verdict(fake.verifier, token);
const header = () => ({ alg: 'ES256', typ: 'at+jwt', kid: service.key.kid });

test('accepts a valid token, also with the full media type in typ', async () => {
  expect(await verify(valid)).toBe('accepted');
  expect(await verify(await rsa.sign())).toBe('accepted');
  expect(await verify(await service.sign({}, { typ: 'application/AT+JWT' }))).toBe('accepted');
});

describe('algorithm', () => {
  test('rejects alg none', async () => {
    expect(await verify(new UnsecuredJWT(goodClaims).encode())).toBe('rejected');
    for (const alg of ['none', 'None', 'NONE', '', null, undefined, 0, []]) {
      const input = `${base64url({ ...header(), alg })}.${base64url(goodClaims)}`;
      for (const signature of ['', valid.split('.')[2], 'AA'])
        expect(await verify(`${input}.${signature}`)).toBe('rejected');
      expect(await verify(service.craft({ ...header(), alg }, goodClaims))).toBe('rejected');
    }
  });

  test('rejects HS256 with any encoding of the public key as the secret', async () => {
    const publicKey = createPublicKey(service.privateKey);
    const jwk = await exportJWK(publicKey);
    const secrets = [
      JSON.stringify(service.key.publicJwk),
      JSON.stringify(jwk),
      await exportSPKI(publicKey),
      (await exportSPKI(publicKey)).trim(),
      publicKey.export({ format: 'der', type: 'spki' }),
      Buffer.from(jwk.x ?? '', 'base64url'),
    ];
    for (const secret of secrets)
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        const key = Buffer.concat([Buffer.from(secret), Buffer.alloc(64)]);
        const signer = new CompactSign(Buffer.from(JSON.stringify(goodClaims)));
        expect(await verify(await signer.setProtectedHeader({ ...header(), alg }).sign(key))).toBe('rejected');
      }
  });

  test('rejects PS256 with an RS256 key', async () => {
    const signer = new CompactSign(Buffer.from(JSON.stringify(goodClaims)));
    const token = await signer
      .setProtectedHeader({ alg: 'PS256', typ: 'at+jwt', kid: rsa.key.kid })
      .sign(rsa.privateKey);
    expect(await verify(token)).toBe('rejected');
  });

  test('rejects the algorithm of another published key', async () => {
    expect(await verify(await rsa.sign({}, { kid: service.key.kid }))).toBe('rejected');
    expect(await verify(rsa.craft(header(), goodClaims))).toBe('rejected');
  });

  test('ignores symmetric, private, encryption and incomplete keys in the JWKS', async () => {
    const [jwk] = publicKeys(service);
    const secret = { kty: 'oct', k: base64url('secret'), alg: 'HS256', use: 'sig', kid: 'shared' };
    const privateJwk = {
      ...service.privateKey.export({ format: 'jwk' }),
      alg: 'ES256',
      use: 'sig',
      kid: service.key.kid,
    };
    const others = [
      { ...jwk, use: 'enc' },
      { ...jwk, alg: undefined },
      { ...jwk, kid: undefined },
      { ...jwk, key_ops: ['sign'] },
    ];
    for (const key of [secret, privateJwk, ...others, { ...jwk, alg: 'none' }, { ...jwk, x: 'AAAA' }, null, 'key'])
      expect(await verdict(makeFakeIssuer([key as object]).verifier, valid)).toBe('unavailable');
    const mixed = makeFakeIssuer([secret, ...publicKeys(service)]).verifier;
    expect(await verdict(mixed, valid)).toBe('accepted');
    const signer = new CompactSign(Buffer.from(JSON.stringify(goodClaims)));
    const shared = signer
      .setProtectedHeader({ ...header(), alg: 'HS256', kid: 'shared' })
      .sign(Buffer.from('secret'.repeat(8)));
    expect(await verdict(mixed, await shared)).toBe('rejected');
  });
});

describe('key', () => {
  test('ignores jwk, jku, x5u and x5c in the header and fetches nothing from them', async () => {
    const foreignUrl = 'https://evil.example.com/jwks.json';
    for (const extra of [
      { jwk: attacker.key.publicJwk },
      { jku: foreignUrl },
      { x5u: foreignUrl },
      { x5c: ['AAAA'] },
    ]) {
      expect(await verify(await attacker.sign({}, { ...extra, kid: service.key.kid }))).toBe('rejected');
      expect(await verify(await service.sign({}, extra))).toBe('accepted');
    }
    expect(new Set(fake.fetched)).toEqual(new Set([jwksUri]));
  });

  test.each(['', '../jwks', '__proto__', 'constructor', 'x'.repeat(2000), "' OR 1=1", 0, null, undefined, [], {}])(
    'rejects the kid %j',
    async (kid) => {
      expect(await verify(attacker.craft({ ...header(), kid }, goodClaims))).toBe('rejected');
      expect(await verify(service.craft({ ...header(), kid }, goodClaims))).toBe('rejected');
    },
  );

  test('rejects the signature of an unpublished key with a published kid', async () => {
    expect(await verify(await attacker.sign({}, { kid: service.key.kid }))).toBe('rejected');
  });
});

describe('serialization', () => {
  test('rejects encryption, other serializations and extensions', async () => {
    const jwe = new CompactEncrypt(Buffer.from(JSON.stringify(goodClaims)));
    const encrypted = await jwe
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: 'at+jwt', kid: service.key.kid })
      .encrypt(createPublicKey(service.privateKey));
    const flattened = await new FlattenedSign(Buffer.from(JSON.stringify(goodClaims)))
      .setProtectedHeader(header())
      .sign(service.privateKey);
    expect(await verify(encrypted)).toBe('rejected');
    expect(await verify(JSON.stringify(flattened))).toBe('rejected');
    for (const crit of [['b64'], ['exp'], ['x'], [], 'b64', null, 0])
      for (const extra of [{}, { b64: true }, { b64: false }, { x: 1 }])
        expect(await verify(service.craft({ ...header(), crit, ...extra }, goodClaims))).toBe('rejected');
  });

  test('rejects a signed token over 8 KiB', async () => {
    const padded = (length: number) => service.sign({ pad: 'x'.repeat(length) });
    expect(await verify(await padded(5000))).toBe('accepted');
    expect(await verify(await padded(7000))).toBe('rejected');
    expect(await verify('a'.repeat(1 << 20))).toBe('rejected');
  });

  test.each(['', '.', '..', '...', 'a.b.c', ' ', 'null', 'e30.e30.', 'é.é.é', '\u0000', 'a\r\nX-Injected: 1'])(
    'rejects %j',
    async (token) => {
      expect(await verify(token)).toBe('rejected');
    },
  );

  test('rejects a token with any changed part', async () => {
    const [head = '', body = '', signature = ''] = valid.split('.');
    const bytes = Buffer.from(signature, 'base64url');
    for (const index of [0, 31, 32, 63]) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(await verify(`${head}.${body}.${changed.toString('base64url')}`)).toBe('rejected');
    }
    for (const token of [
      `${head}.${body}`,
      `${head}..${signature}`,
      `.${body}.${signature}`,
      `${valid}.`,
      `${valid}.x`,
      ` ${valid}`,
      `${valid}\n`,
    ])
      expect(await verify(token)).toBe('rejected');
    expect(await verify(`${head}.${base64url({ ...goodClaims, scope: 'users:write' })}.${signature}`)).toBe('rejected');
  });

  test('rejects a payload that is not a JSON object', async () => {
    for (const payload of ['[]', 'null', '"x"', '{', '', '{"iss":'])
      expect(await verify(service.craft(header(), payload))).toBe('rejected');
  });
});

describe('claims', () => {
  test.each([['typ', ['JWT', 'jwt', 'dpop+jwt', 'secevent+jwt', 'at+jwt2', '', null, 0, undefined]]])(
    'rejects a wrong %s header',
    async (name, values) => {
      for (const value of values)
        expect(await verify(service.craft({ ...header(), [name]: value }, goodClaims))).toBe('rejected');
    },
  );

  test.each([
    ['iss', [`${issuer}/`, 'https://AUTH.example.com', '', [issuer], null, undefined, 1]],
    [
      'aud',
      [
        'https://other.example.com',
        audience[1],
        `${audience[0]}/`,
        [],
        [''],
        '',
        {},
        null,
        undefined,
        [1, audience[0]],
      ],
    ],
    ['exp', [now - 5, now - 6, 0, -1, String(now + 900), null, undefined, {}]],
    ['nbf', [now + 6, String(now), null]],
    ['iat', ['now', null, undefined]],
    ['sub', ['', 1, null, undefined, {}]],
    ['client_id', ['', 1, undefined]],
    ['jti', ['', 1, undefined]],
    ['scope', [['profile'], 1, {}, null]],
    ['roles', ['admin', [1], {}]],
    ['amr', ['pwd', [1]]],
    ['sid', ['', 1, null]],
    ['auth_time', ['1', null]],
    ['email_verified', ['true', 1]],
  ])('rejects a wrong %s claim', async (name, values) => {
    for (const value of values) {
      const claims = { ...goodClaims, [name]: value };
      expect([value, await verify(service.craft(header(), claims))]).toEqual([value, 'rejected']);
    }
  });

  test('tolerates a clock skew of five seconds in exp and nbf', async () => {
    expect(await verify(await service.sign({ exp: now - 4 }))).toBe('accepted');
    expect(await verify(await service.sign({ nbf: now + 5 }))).toBe('accepted');
    const strict = makeFakeIssuer(publicKeys(service), { clockToleranceSeconds: 0 }).verifier;
    expect(await verdict(strict, await service.sign({ exp: now }))).toBe('rejected');
    expect(await verdict(strict, await service.sign({ exp: now + 1 }))).toBe('accepted');
  });

  test('fills in defaults for missing optional claims', async () => {
    const missing = {
      scope: undefined,
      roles: undefined,
      amr: undefined,
      sid: undefined,
      auth_time: undefined,
      email_verified: undefined,
    };
    const claims = await fake.verifier.verify(await service.sign(missing));
    expect(claims).toMatchObject({ scopes: [], roles: [], amr: [], email_verified: false });
    expect(claims).not.toHaveProperty('sid');
  });

  test('ignores a claim of the token named scopes', async () => {
    const claims = await fake.verifier.verify(await service.sign({ scopes: ['users:write'], scope: 'profile' }));
    expect(claims.scopes).toEqual(['profile']);
  });
});
