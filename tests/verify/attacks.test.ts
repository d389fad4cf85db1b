import { createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { CompactEncrypt, CompactSign, exportJWK, exportSPKI, FlattenedSign, UnsecuredJWT } from 'jose';
import { audience, base64url, type Forger, goodClaims, issuer, makeForger, now } from '../core/forger.ts';
import { type FakeIssuer, fakeIssuer, jwksUri, publicKeys, verdict } from './issuer.ts';

let ours: Forger;
let attacker: Forger;
let rsa: Forger;
let fake: FakeIssuer;
let good: string;
beforeAll(async () => {
  [ours, attacker, rsa] = await Promise.all([makeForger(), makeForger(), makeForger('RS256')]);
  fake = fakeIssuer(publicKeys(ours, rsa));
  good = await ours.sign();
});

const judge = (token: string) => verdict(fake.verifier, token);
const header = () => ({ alg: 'ES256', typ: 'at+jwt', kid: ours.key.kid });

test('a good token is accepted, and so is one whose typ is written in full', async () => {
  expect(await judge(good)).toBe('accepted');
  expect(await judge(await rsa.sign())).toBe('accepted');
  expect(await judge(await ours.sign({}, { typ: 'application/AT+JWT' }))).toBe('accepted');
});

describe('the algorithm is the key’s, whatever a header says:', () => {
  test('none', async () => {
    expect(await judge(new UnsecuredJWT(goodClaims).encode())).toBe('refused');
    for (const alg of ['none', 'None', 'NONE', '', null, undefined, 0, []]) {
      const input = `${base64url({ ...header(), alg })}.${base64url(goodClaims)}`;
      for (const signature of ['', good.split('.')[2], 'AA'])
        expect(await judge(`${input}.${signature}`)).toBe('refused');
      expect(await judge(ours.craft({ ...header(), alg }, goodClaims))).toBe('refused');
    }
  });

  test('HS256 with the public key as the secret, in every form it may have', async () => {
    const publicKey = createPublicKey(ours.privateKey);
    const jwk = await exportJWK(publicKey);
    const secrets = [
      JSON.stringify(ours.key.publicJwk),
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
        expect(await judge(await signer.setProtectedHeader({ ...header(), alg }).sign(key))).toBe('refused');
      }
  });

  test('another of the same key: PS256 by an RS256 key', async () => {
    const signer = new CompactSign(Buffer.from(JSON.stringify(goodClaims)));
    const token = await signer
      .setProtectedHeader({ alg: 'PS256', typ: 'at+jwt', kid: rsa.key.kid })
      .sign(rsa.privateKey);
    expect(await judge(token)).toBe('refused');
  });

  test('another of the published keys', async () => {
    expect(await judge(await rsa.sign({}, { kid: ours.key.kid }))).toBe('refused');
    expect(await judge(rsa.craft(header(), goodClaims))).toBe('refused');
  });

  test('a JWKS with a symmetric, private, encryption or nameless key gives no key to verify with', async () => {
    const [jwk] = publicKeys(ours);
    const secret = { kty: 'oct', k: base64url('secret'), alg: 'HS256', use: 'sig', kid: 'shared' };
    const privateJwk = { ...ours.privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: ours.key.kid };
    const others = [
      { ...jwk, use: 'enc' },
      { ...jwk, alg: undefined },
      { ...jwk, kid: undefined },
      { ...jwk, key_ops: ['sign'] },
    ];
    for (const key of [secret, privateJwk, ...others, { ...jwk, alg: 'none' }, { ...jwk, x: 'AAAA' }, null, 'key'])
      expect(await verdict(fakeIssuer([key as object]).verifier, good)).toBe('unavailable');
    const mixed = fakeIssuer([secret, ...publicKeys(ours)]).verifier;
    expect(await verdict(mixed, good)).toBe('accepted');
    const signer = new CompactSign(Buffer.from(JSON.stringify(goodClaims)));
    const shared = signer
      .setProtectedHeader({ ...header(), alg: 'HS256', kid: 'shared' })
      .sign(Buffer.from('secret'.repeat(8)));
    expect(await verdict(mixed, await shared)).toBe('refused');
  });
});

describe('the key is the issuer’s, whatever a header says:', () => {
  test('jwk, jku, x5u and x5c are not looked at, and nothing of theirs is fetched', async () => {
    const there = 'https://evil.example.com/jwks.json';
    for (const extra of [{ jwk: attacker.key.publicJwk }, { jku: there }, { x5u: there }, { x5c: ['AAAA'] }]) {
      expect(await judge(await attacker.sign({}, { ...extra, kid: ours.key.kid }))).toBe('refused');
      expect(await judge(await ours.sign({}, extra))).toBe('accepted');
    }
    expect(new Set(fake.fetched)).toEqual(new Set([jwksUri]));
  });

  test.each(['', '../jwks', '__proto__', 'constructor', 'x'.repeat(2000), "' OR 1=1", 0, null, undefined, [], {}])(
    'kid %j',
    async (kid) => {
      expect(await judge(attacker.craft({ ...header(), kid }, goodClaims))).toBe('refused');
      expect(await judge(ours.craft({ ...header(), kid }, goodClaims))).toBe('refused');
    },
  );

  test('an attacker’s signature under our kid', async () => {
    expect(await judge(await attacker.sign({}, { kid: ours.key.kid }))).toBe('refused');
  });
});

describe('the form is one JWS of three parts:', () => {
  test('no encryption, no other serialization, no extension', async () => {
    const jwe = new CompactEncrypt(Buffer.from(JSON.stringify(goodClaims)));
    const encrypted = await jwe
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: 'at+jwt', kid: ours.key.kid })
      .encrypt(createPublicKey(ours.privateKey));
    const flattened = await new FlattenedSign(Buffer.from(JSON.stringify(goodClaims)))
      .setProtectedHeader(header())
      .sign(ours.privateKey);
    expect(await judge(encrypted)).toBe('refused');
    expect(await judge(JSON.stringify(flattened))).toBe('refused');
    for (const crit of [['b64'], ['exp'], ['x'], [], 'b64', null, 0])
      for (const extra of [{}, { b64: true }, { b64: false }, { x: 1 }])
        expect(await judge(ours.craft({ ...header(), crit, ...extra }, goodClaims))).toBe('refused');
  });

  test('no longer than 8 KiB, however it is signed', async () => {
    const padded = (length: number) => ours.sign({ pad: 'x'.repeat(length) });
    expect(await judge(await padded(5000))).toBe('accepted');
    expect(await judge(await padded(7000))).toBe('refused');
    expect(await judge('a'.repeat(1 << 20))).toBe('refused');
  });

  test.each(['', '.', '..', '...', 'a.b.c', ' ', 'null', 'e30.e30.', 'é.é.é', '\u0000', 'a\r\nX-Injected: 1'])(
    'garbage: %j',
    async (token) => {
      expect(await judge(token)).toBe('refused');
    },
  );

  test('each part as it was signed', async () => {
    const [head = '', body = '', signature = ''] = good.split('.');
    const bytes = Buffer.from(signature, 'base64url');
    for (const index of [0, 31, 32, 63]) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(await judge(`${head}.${body}.${changed.toString('base64url')}`)).toBe('refused');
    }
    for (const token of [
      `${head}.${body}`,
      `${head}..${signature}`,
      `.${body}.${signature}`,
      `${good}.`,
      `${good}.x`,
      ` ${good}`,
      `${good}\n`,
    ])
      expect(await judge(token)).toBe('refused');
    expect(await judge(`${head}.${base64url({ ...goodClaims, scope: 'users:write' })}.${signature}`)).toBe('refused');
  });

  test('a payload that is not an object of claims', async () => {
    for (const payload of ['[]', 'null', '"x"', '{', '', '{"iss":'])
      expect(await judge(ours.craft(header(), payload))).toBe('refused');
  });
});

describe('the claims are those of an access token for this service:', () => {
  test.each([['typ', ['JWT', 'jwt', 'dpop+jwt', 'secevent+jwt', 'at+jwt2', '', null, 0, undefined]]])(
    '%s',
    async (name, values) => {
      for (const value of values)
        expect(await judge(ours.craft({ ...header(), [name]: value }, goodClaims))).toBe('refused');
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
  ])('a wrong %s is refused', async (name, values) => {
    for (const value of values) {
      const claims = { ...goodClaims, [name]: value };
      expect([value, await judge(ours.craft(header(), claims))]).toEqual([value, 'refused']);
    }
  });

  test('in its last seconds and from its first, with clocks five seconds apart', async () => {
    expect(await judge(await ours.sign({ exp: now - 4 }))).toBe('accepted');
    expect(await judge(await ours.sign({ nbf: now + 5 }))).toBe('accepted');
    const strict = fakeIssuer(publicKeys(ours), { clockToleranceSeconds: 0 }).verifier;
    expect(await verdict(strict, await ours.sign({ exp: now }))).toBe('refused');
    expect(await verdict(strict, await ours.sign({ exp: now + 1 }))).toBe('accepted');
  });

  test('what may be left out is read as nothing', async () => {
    const bare = {
      scope: undefined,
      roles: undefined,
      amr: undefined,
      sid: undefined,
      auth_time: undefined,
      email_verified: undefined,
    };
    const claims = await fake.verifier.verify(await ours.sign(bare));
    expect(claims).toMatchObject({ scopes: [], roles: [], amr: [], email_verified: false });
    expect(claims).not.toHaveProperty('sid');
  });

  test('a claim of ours that an issuer’s own would name is not taken from the token', async () => {
    const claims = await fake.verifier.verify(await ours.sign({ scopes: ['users:write'], scope: 'profile' }));
    expect(claims.scopes).toEqual(['profile']);
  });
});
