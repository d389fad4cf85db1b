import { createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { CompactEncrypt, CompactSign, exportJWK, exportSPKI, FlattenedSign, GeneralSign, UnsecuredJWT } from 'jose';
import { audience, base64url, type Forger, goodClaims, makeForger, now, sessionId, userId, verdict } from './forger.ts';

let service: Forger;
let attacker: Forger;
let rsa: Forger;
let good: string;
beforeAll(async () => {
  [service, attacker, rsa] = await Promise.all([makeForger(), makeForger(), makeForger('RS256')]);
  good = await service.sign();
});

const judge = (token: string) => verdict(service.verify, token);
const header = () => ({ alg: 'ES256', typ: 'at+jwt', kid: service.key.kid });
const payload = Buffer.from(JSON.stringify(goodClaims));

describe('a valid token is accepted:', () => {
  test('with its user, session and scopes', () => {
    expect(service.verify(good)).toMatchObject({ userId, sessionId, scopes: ['profile', 'sessions'] });
  });

  test.each(['ES256', 'EdDSA', 'RS256', 'PS256'] as const)('signed by jose with %s', async (alg) => {
    const forger = await makeForger(alg);
    expect(verdict(forger.verify, await forger.sign())).toBe('accepted');
  });

  test.each(['AT+JWT', 'application/at+jwt', 'Application/AT+JWT'])('with the typ %s', async (typ) => {
    expect(judge(await service.sign({}, { typ }))).toBe('accepted');
  });

  test('with a configured audience among others', async () => {
    for (const aud of [audience[1], [audience[1]], ['https://other.example.com', audience[0]]])
      expect(judge(await service.sign({ aud }))).toBe('accepted');
  });

  test('from its first second to its last', async () => {
    expect(judge(await service.sign({ exp: now + 1 }))).toBe('accepted');
    expect(judge(await service.sign({ nbf: now }))).toBe('accepted');
  });
});

describe('the algorithm of the key decides, not the header:', () => {
  test('none', () => {
    const bare = new UnsecuredJWT(goodClaims).encode();
    expect(judge(bare)).toBe('refused');
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null, undefined, 0, []]) {
      const input = `${base64url({ ...header(), alg })}.${base64url(goodClaims)}`;
      for (const signature of ['', good.split('.')[2], 'AA']) expect(judge(`${input}.${signature}`)).toBe('refused');
      expect(judge(input)).toBe('refused');
      expect(judge(service.craft({ ...header(), alg }, goodClaims))).toBe('refused');
    }
  });

  test('HS256 with the public key as the secret, in every encoding', async () => {
    const publicKey = createPublicKey(service.privateKey);
    const jwk = await exportJWK(publicKey);
    const secrets: (string | Buffer)[] = [
      JSON.stringify(service.key.publicJwk),
      JSON.stringify(jwk),
      await exportSPKI(publicKey),
      (await exportSPKI(publicKey)).trim(),
      publicKey.export({ format: 'der', type: 'spki' }),
      Buffer.from(jwk.x ?? '', 'base64url'),
      Buffer.concat(['x', 'y'].map((name) => Buffer.from(String(jwk[name as 'x']), 'base64url'))),
      service.key.kid,
    ];
    for (const secret of secrets) {
      const sign = new CompactSign(payload).setProtectedHeader({ ...header(), alg: 'HS256' });
      expect(judge(await sign.sign(Buffer.from(secret)))).toBe('refused');
    }
  });

  test('another algorithm of the same key', async () => {
    const pss = await new CompactSign(payload)
      .setProtectedHeader({ alg: 'PS256', typ: 'at+jwt', kid: rsa.key.kid })
      .sign(rsa.privateKey);
    expect(verdict(rsa.verify, await rsa.sign())).toBe('accepted');
    expect(verdict(rsa.verify, pss)).toBe('refused');
    expect(verdict(rsa.verify, rsa.craft({ alg: 'PS256', typ: 'at+jwt', kid: rsa.key.kid }, goodClaims))).toBe(
      'refused',
    );
    for (const alg of ['es256', 'ES384', 'ES256K', 'EdDSA', 'RS256', ['ES256'], 'ES256 '])
      expect(judge(service.craft({ ...header(), alg }, goodClaims))).toBe('refused');
  });
});

describe('a token without the type of an access token is refused:', () => {
  test.each([
    'JWT',
    'jwt',
    'dpop+jwt',
    'statuslist+jwt',
    'id+jwt',
    'at+jwt ',
    '',
    'logout+jwt',
    'at jwt',
    null,
    1,
    ['at+jwt'],
    { toString: 1 },
  ])('typ %j', (typ) => expect(judge(service.craft({ ...header(), typ }, goodClaims))).toBe('refused'));

  test('no typ', () => {
    expect(judge(service.craft({ alg: 'ES256', kid: service.key.kid }, goodClaims))).toBe('refused');
  });
});

describe('a key that the token contains or points to is ignored:', () => {
  test('an unknown or missing kid', async () => {
    for (const kid of [attacker.key.kid, '', '../../dev/null', "' OR 1=1--", null, 7, [service.key.kid], '__proto__'])
      expect(judge(service.craft({ ...header(), kid }, goodClaims))).toBe('refused');
    expect(judge(service.craft({ alg: 'ES256', typ: 'at+jwt' }, goodClaims))).toBe('refused');
    expect(judge(await attacker.sign())).toBe('refused');
  });

  test('a key of another service with our key id', async () => {
    expect(verdict(attacker.verify, await attacker.sign())).toBe('accepted');
    expect(judge(await attacker.sign({}, { kid: service.key.kid }))).toBe('refused');
  });

  test('an attacker’s key in the header', async () => {
    const jwk = attacker.key.publicJwk;
    const x5c = [createPublicKey(attacker.privateKey).export({ format: 'der', type: 'spki' }).toString('base64')];
    const extraHeaders = [
      { jwk },
      { jku: 'https://evil.example/jwks.json' },
      { x5c },
      { x5u: 'https://evil.example/x5c' },
    ];
    for (const extra of extraHeaders)
      for (const kid of [service.key.kid, attacker.key.kid])
        expect(judge(await attacker.sign({}, { ...extra, kid }))).toBe('refused');
  });
});

describe('only the compact serialization is accepted:', () => {
  test('critical extensions are refused, even those that jose supports', async () => {
    const extended = new CompactSign(payload).setProtectedHeader({ ...header(), crit: ['exp'], exp: now + 900 });
    expect(judge(await extended.sign(service.privateKey, { crit: { exp: true } }))).toBe('refused');
    for (const crit of [[], ['b64'], ['exp'], null, 'exp', false])
      expect(judge(service.craft({ ...header(), crit }, goodClaims))).toBe('refused');
  });

  test('an unencoded payload (b64: false) is refused', async () => {
    const protectedHeader = { ...header(), b64: false, crit: ['b64'] };
    const flat = await new FlattenedSign(payload).setProtectedHeader(protectedHeader).sign(service.privateKey);
    expect(judge(`${flat.protected}.${payload.toString()}.${flat.signature}`)).toBe('refused');
    expect(judge(`${flat.protected}.${base64url(goodClaims)}.${flat.signature}`)).toBe('refused');
    expect(judge(`${flat.protected}..${flat.signature}`)).toBe('refused');
  });

  test('an encrypted token is refused', async () => {
    const publicKey = createPublicKey(service.privateKey);
    const encrypted = new CompactEncrypt(Buffer.from(good)).setProtectedHeader({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      typ: 'at+jwt',
      kid: service.key.kid,
    });
    expect(judge(await encrypted.encrypt(publicKey))).toBe('refused');
  });

  test('the JSON serialization is refused', async () => {
    const flat = await new FlattenedSign(payload).setProtectedHeader(header()).sign(service.privateKey);
    const general = new GeneralSign(payload);
    general.addSignature(service.privateKey).setProtectedHeader(header());
    for (const json of [flat, await general.sign()]) expect(judge(JSON.stringify(json))).toBe('refused');
    expect(judge(`${flat.protected}.${flat.payload}.${flat.signature}`)).toBe('accepted');
  });

  test('a token with more or fewer than three parts is refused', () => {
    const [head, body, signature] = good.split('.');
    const wrong = ['', '.', '..', '...', `${good}.`, `.${good}`, `${good}.${signature}`, `${head}.${body}`];
    wrong.push(`${head}..${signature}`, `.${body}.${signature}`, `${head}.${body}.`, `${head}.${signature}.${body}`);
    for (const token of wrong) expect([token, judge(token)]).toEqual([token, 'refused']);
  });

  test('an oversized token is refused, and quickly', () => {
    const started = performance.now();
    for (const token of ['a'.repeat(1e6), '.'.repeat(1e6), `${good}${'A'.repeat(1e6)}`, `${'A.'.repeat(1e5)}${good}`])
      expect(judge(token)).toBe('refused');
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  test('a header or payload that is not a JSON object is refused', () => {
    for (const part of ['', 'null', '7', '"at+jwt"', '[]', '{', '{"exp":NaN}', `${JSON.stringify(goodClaims)}}`]) {
      expect(judge(service.craft(header(), part))).toBe('refused');
      expect(judge(service.craft(part, goodClaims))).toBe('refused');
    }
  });
});
