// keyturn/verify with tokens of the real service, over HTTP.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { createVerifier } from '../../src/verify/index.ts';
import { type Account, startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { verdict } from './fake-issuer.ts';

jest.setTimeout(30_000);

const audience = 'https://api.example.com';

describe.each(['ES256', 'EdDSA', 'RS256', 'PS256'])('with JWT_ALG=%s', (alg) => {
  let app: TestApp;
  let account: Account;
  let issuer: string;
  beforeAll(async () => {
    const port = await freePort();
    issuer = `http://127.0.0.1:${port}/tenant`;
    app = await startApp(
      { JWT_ALG: alg, ISSUER: issuer, AUDIENCE: `${audience}, https://files.example.com` },
      { port },
    );
    account = await app.register();
  });
  afterAll(() => app.close());
  // The path of the issuer exists only at a reverse proxy, so the verifier cannot discover the keys here.
  const jwksUri = () => `${app.baseUrl}/.well-known/jwks.json`;

  test('accepts the tokens of a login and a refresh and returns their claims', async () => {
    const verifier = createVerifier({ issuer, audience, jwksUri: jwksUri() });
    const tokens = [(await app.login(account.email)).body, (await app.refresh(account.refresh_token)).body];
    for (const { access_token: token, session_id: sid } of tokens)
      expect(await verifier.verify(token)).toEqual({
        ...decodeJwt(token),
        sub: account.user.id,
        sid,
        client_id: 'first-party',
        scopes: ['profile', 'sessions'],
        roles: ['user'],
        amr: ['pwd'],
        email_verified: false,
        auth_time: expect.any(Number),
      });
  });

  test('accepts a token if it shares an audience with the verifier', async () => {
    const accepting = createVerifier({ issuer, audience: ['https://a.example.com', audience], jwksUri: jwksUri() });
    expect(await verdict(accepting, account.access_token)).toBe('accepted');
    const rejecting = createVerifier({ issuer, audience: 'https://a.example.com', jwksUri: jwksUri() });
    expect(await verdict(rejecting, account.access_token)).toBe('rejected');
  });

  test('compares the issuer exactly', async () => {
    for (const wrong of [`${issuer}/`, issuer.replace('/tenant', ''), issuer.replace('tenant', 'Tenant')])
      expect(await verdict(createVerifier({ issuer: wrong, audience, jwksUri: jwksUri() }), account.access_token)).toBe(
        'rejected',
      );
  });
});

describe('with keys from the issuer’s metadata', () => {
  let app: TestApp;
  beforeAll(async () => {
    const port = await freePort();
    app = await startApp({ ISSUER: `http://127.0.0.1:${port}` }, { port });
  });
  afterAll(() => app.close());

  test('accepts tokens of the issuer and rejects tokens of another service', async () => {
    const { access_token: token } = await app.register();
    const { issuer } = app.config;
    expect(await verdict(createVerifier({ issuer, audience: issuer }), token)).toBe('accepted');
    const other = await startApp();
    const fresh = createVerifier({ issuer, audience: issuer });
    expect(await verdict(fresh, (await other.register()).access_token)).toBe('rejected');
    await other.close();
  });

  test('does not use metadata with another issuer', async () => {
    const { access_token: token } = await app.register();
    const lookalike = app.config.issuer.replace('127.0.0.1', 'localhost');
    expect(await verdict(createVerifier({ issuer: lookalike, audience: app.config.issuer }), token)).toBe(
      'unavailable',
    );
  });
});

describe('key rotation', () => {
  const settings = { MASTER_KEYS: Buffer.alloc(32, 6).toString('base64url'), ISSUER: 'https://auth.example.com' };
  const issuer = settings.ISSUER;
  let database: TestDatabase;
  let port: number;
  beforeAll(async () => {
    database = await createDatabase();
    port = await freePort();
  });
  afterAll(() => database.drop());
  const open = () => startApp(settings, { databaseUrl: database.url, port });

  test('accepts the old and the new key, also while the issuer is down', async () => {
    const jwksUri = `http://127.0.0.1:${port}/.well-known/jwks.json`;
    const verifier = createVerifier({ issuer, audience: issuer, jwksUri, cooldownSeconds: 0 });
    const first = await open();
    const { access_token: oldToken } = await first.register();
    expect(await verdict(verifier, oldToken)).toBe('accepted');
    await first.sql.query(`DELETE FROM signing_keys WHERE status = 'next'`);
    await first.sql.query(`UPDATE signing_keys SET status = 'retired', retired_at = now() WHERE status = 'active'`);
    await first.close();
    expect(await verdict(verifier, oldToken)).toBe('accepted');

    const second = await open();
    const { access_token: newToken } = await second.register();
    expect(await verdict(verifier, newToken)).toBe('accepted');
    expect(await verdict(verifier, oldToken)).toBe('accepted');
    await second.close();

    expect(await verdict(verifier, newToken)).toBe('accepted');
    const withoutKeys = createVerifier({ issuer, audience: issuer, jwksUri });
    expect(await verdict(withoutKeys, newToken)).toBe('unavailable');
  });
});
