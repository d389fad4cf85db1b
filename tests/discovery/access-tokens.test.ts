import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, type JWK, jwtVerify } from 'jose';
import { password, startApp, type Account, type TestApp } from '../harness.ts';
import { basic, postForm } from '../support/oauth.ts';

jest.setTimeout(30_000);

const uuid = /^[\da-f]{8}-[\da-f]{4}-[47][\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

/** Verifies a token as a resource server that knows the issuer, the audience and the JWKS URL. */
async function verifyAsResourceServer(app: TestApp, token: string, audience: string, alg: string) {
  const keys = createRemoteJWKSet(new URL(`${app.baseUrl}/.well-known/jwks.json`));
  return jwtVerify(token, keys, {
    typ: 'at+jwt',
    issuer: app.config.issuer,
    audience,
    algorithms: [alg],
    requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'],
  });
}

describe.each([
  ['ES256', { kty: 'EC', crv: 'P-256' }, ['x', 'y']],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519' }, ['x']],
  ['RS256', { kty: 'RSA', e: 'AQAB' }, ['n']],
  ['PS256', { kty: 'RSA', e: 'AQAB' }, ['n']],
] as const)('with JWT_ALG=%s', (alg, members, numbers) => {
  let app: TestApp;
  let account: Account;
  beforeAll(async () => {
    app = await startApp({ JWT_ALG: alg, ISSUER: 'https://auth.example.com', AUDIENCE: 'https://api.example.com' });
    account = await app.register();
  });
  afterAll(() => app.close());

  test('a standard library verifies the tokens of a login and of a refresh', async () => {
    const tokens = [(await app.login(account.email)).body, (await app.refresh(account.refresh_token)).body];
    for (const { access_token: token } of tokens) {
      const { payload, protectedHeader } = await verifyAsResourceServer(app, token, 'https://api.example.com', alg);
      expect(payload.sub).toBe(account.user.id);
      expect(protectedHeader).toEqual({ alg, typ: 'at+jwt', kid: expect.any(String) });
      await expect(verifyAsResourceServer(app, token, 'https://other.example.com', alg)).rejects.toThrow(/"aud"/);
    }
  });

  test('the endpoints of the service accept it', async () => {
    expect((await app.get('/me', account.access_token)).status).toBe(200);
  });

  test('the signing key has the type of the algorithm and at least 128 bits of strength', async () => {
    const { keys } = JSON.parse((await app.get('/.well-known/jwks.json')).text);
    const kind = expect.objectContaining({ ...members, alg, use: 'sig' });
    expect(keys).toEqual([kind, kind]);
    const [key] = keys as (JWK & Record<string, string>)[];
    expect(Object.keys(key ?? {}).sort()).toEqual([...Object.keys(members), ...numbers, 'alg', 'kid', 'use'].sort());
    const bits = (Buffer.from(key?.[numbers[0]] ?? '', 'base64url').length || 0) * 8;
    expect(bits).toBe(members.kty === 'RSA' ? 3072 : 256);
  });
});

describe('an access token', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ ISSUER: 'https://auth.example.com/tenant' });
  });
  afterAll(() => app.close());

  test('has exactly the header and claims of RFC 9068 and of the documentation', async () => {
    const account = await app.register({ display_name: 'Grace Hopper' });
    const before = Math.floor(Date.now() / 1000);
    const { access_token: token, session_id: sessionId } = (await app.login(account.email)).body;
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
    const claims = decodeJwt(token);
    expect(claims).toEqual({
      iss: 'https://auth.example.com/tenant',
      sub: account.user.id,
      aud: 'https://auth.example.com/tenant',
      exp: (claims.iat ?? 0) + 900,
      iat: expect.any(Number),
      jti: expect.stringMatching(uuid),
      client_id: 'first-party',
      scope: 'profile sessions',
      roles: ['user'],
      sid: sessionId,
      auth_time: expect.any(Number),
      amr: ['pwd'],
      email_verified: false,
    });
    for (const time of [claims.iat, claims['auth_time']]) expect(Math.abs(Number(time) - before)).toBeLessThan(20);
    const text = token
      .split('.', 2)
      .map((part: string) => Buffer.from(part, 'base64url').toString())
      .join('\n');
    expect(text).not.toMatch(/@|grace|hopper/i);
    expect(text).not.toContain(account.email.slice(0, 8));
  });

  test('lists several audiences, and is valid for each of them and for the service', async () => {
    const AUDIENCE = 'https://api.example.com, https://files.example.com';
    const several = await startApp({ AUDIENCE });
    const { access_token: token } = await several.register();
    expect(decodeJwt(token).aud).toEqual(['https://api.example.com', 'https://files.example.com']);
    for (const audience of AUDIENCE.split(', ')) await verifyAsResourceServer(several, token, audience, 'ES256');
    expect((await several.get('/me', token)).status).toBe(200);
    await several.close();
  });

  test('for other services only is rejected by a service that AUDIENCE names, but introspected and revoked', async () => {
    const ISSUER = 'https://auth.example.com';
    const settings = { ISSUER, MASTER_KEYS: randomBytes(32).toString('base64url') };
    const own = await startApp({ ...settings, AUDIENCE: `${ISSUER}, https://api.example.com` });
    const { databaseUrl } = own;
    const other = await startApp({ ...settings, AUDIENCE: 'https://api.example.com' }, { databaseUrl });
    const [account, foreign] = [await own.register(), await other.register()];
    expect((await own.get('/me', account.access_token)).status).toBe(200);
    expect((await own.get('/me', foreign.access_token)).body).toMatchObject({ code: 'invalid_access_token' });
    expect((await other.get('/me', foreign.access_token)).status).toBe(200);
    const key = await own.apiKeyOf(await own.admin(), ['tokens:introspect']);
    const form = { token: foreign.access_token };
    const introspected = await postForm(own, '/introspect', form, basic(key.client_id, key.client_secret));
    expect(introspected.body).toMatchObject({ active: true, aud: 'https://api.example.com' });
    expect((await postForm(own, '/revoke', form)).status).toBe(200);
    expect((await other.refresh(foreign.refresh_token)).status).toBe(401);
    await other.close();
    await own.close();
  });

  test('expires after ACCESS_TTL', async () => {
    const service = await startApp({ ACCESS_TTL: '2m' });
    const account = await service.register();
    const { exp = 0, iat = 0 } = decodeJwt(account.access_token);
    expect([account['expires_in'], exp - iat]).toEqual([120, 120]);
    const left = () => exp - service.clock.nowSeconds();
    service.clock.step(left() - 2);
    expect((await service.get('/me', account.access_token)).status).toBe(200);
    service.clock.step(left());
    expect((await service.get('/me', account.access_token)).status).toBe(401);
    await service.close();
  });

  test('keeps auth_time, amr, sid and sub across refreshes, with new iat, exp and jti', async () => {
    const account = await app.register();
    const first = decodeJwt(account.access_token);
    app.clock.step(60);
    const { access_token: token } = (await app.refresh(account.refresh_token)).body;
    const { iat, exp, jti, ...rest } = decodeJwt(token);
    const { iat: firstIat = 0, exp: firstExp = 0, jti: firstJti, ...firstRest } = first;
    expect(rest).toEqual(firstRest);
    expect(iat).toBeGreaterThanOrEqual(firstIat + 60);
    expect((exp ?? 0) - (iat ?? 0)).toBe(firstExp - firstIat);
    expect(jti).not.toBe(firstJti);
  });

  test('has the auth_time of its own login', async () => {
    const account = await app.register();
    await app.db.sessions.ageAuthentication(account, 3600);
    const refreshed = decodeJwt((await app.refresh(account.refresh_token)).body.access_token);
    const { body } = await app.post('/login', { email: account.email, password });
    const later = decodeJwt(body.access_token);
    expect(Number(later['auth_time']) - Number(refreshed['auth_time'])).toBeGreaterThanOrEqual(3600);
  });

  test('has a jti that is unique among a thousand refreshes', async () => {
    const accounts = await Promise.all(Array.from({ length: 10 }, () => app.register()));
    const ids = new Set<unknown>();
    await Promise.all(
      accounts.map(async ({ refresh_token }) => {
        let token = refresh_token;
        for (let count = 0; count < 100; count += 1) {
          const { body } = await app.refresh(token);
          ids.add(decodeJwt(body.access_token).jti);
          token = body.refresh_token;
        }
      }),
    );
    expect(ids.size).toBe(1000);
  });
});
