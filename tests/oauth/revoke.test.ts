import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { type Account, startApp, type TestApp } from '../harness.ts';
import type { ApiKey } from '../support/builders.ts';
import { basic, errorOf, type Parameters, postForm } from '../support/oauth.ts';

jest.setTimeout(60_000);

let app: TestApp;
let ada: Account;
let key: ApiKey;
beforeAll(async () => {
  app = await startApp();
  ada = await app.register();
  key = await app.apiKeyOf(ada, ['profile']);
});
afterAll(() => app.close());

const revoke = (form: Parameters, headers: Record<string, string> = {}) => postForm(app, '/revoke', form, headers);
const keyToken = async ({ client_id: id, client_secret: secret } = key): Promise<string> =>
  (await postForm(app, '/token', { grant_type: 'client_credentials' }, basic(id, secret))).body.access_token;

const isLive = async ({ access_token: token, refresh_token: refreshToken }: Account) => [
  (await app.get('/me', token)).status,
  (await app.refresh(refreshToken)).status,
];

describe('revocation ends the session of both tokens', () => {
  test.each<[title: string, form: (account: Account) => Parameters]>([
    ['its refresh token', ({ refresh_token: token }) => ({ token })],
    ['its refresh token with the hint', ({ refresh_token: token }) => ({ token, token_type_hint: 'refresh_token' })],
    [
      'its refresh token with the wrong hint',
      ({ refresh_token: token }) => ({ token, token_type_hint: 'access_token' }),
    ],
    ['its refresh token with an unknown hint', ({ refresh_token: token }) => ({ token, token_type_hint: 'pem' })],
    ['its access token', ({ access_token: token }) => ({ token })],
    [
      'its access token with the wrong hint',
      ({ access_token: token }) => ({ token, token_type_hint: 'refresh_token' }),
    ],
    ['its refresh token with client_id', ({ refresh_token: token }) => ({ token, client_id: 'first-party' })],
  ])('by %s', async (_, form) => {
    const [account, other] = [await app.register(), await app.register()];
    const response = await revoke(form(account));
    expect([response.status, response.body]).toEqual([200, {}]);
    expect(await isLive(account)).toEqual([401, 401]);
    expect(await isLive(other)).toEqual([200, 200]);
    const events = (await app.db.audit.events({ type: 'logout' })).filter(
      ({ session_id: id }) => id === account.session_id,
    );
    expect(events).toMatchObject([{ outcome: 'success', user_id: account.user.id }]);
  });

  test('by a spent refresh token', async () => {
    const account = await app.register();
    await app.refresh(account.refresh_token);
    expect((await revoke({ token: account.refresh_token })).status).toBe(200);
    expect(await isLive(account)).toEqual([401, 401]);
  });

  test('once for ten concurrent requests', async () => {
    const account = await app.register();
    const responses = await Promise.all(Array.from({ length: 10 }, () => revoke({ token: account.refresh_token })));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    const events = (await app.db.audit.events({ type: 'logout' })).filter(
      ({ session_id: id }) => id === account.session_id,
    );
    expect(events).toHaveLength(1);
  });
});

test('no refresh that races a revocation returns a token that stays valid', async () => {
  const account = await app.register();
  const racing = Array.from({ length: 10 }, () => app.refresh(account.refresh_token));
  const revoked = revoke({ token: account.refresh_token });
  const responses = await Promise.all(racing);
  expect((await revoked).status).toBe(200);
  const successors = responses.flatMap(({ status, body }) => (status === 200 ? [body.refresh_token as string] : []));
  for (const token of [account.refresh_token, ...successors]) expect((await app.refresh(token)).status).toBe(401);
});

test.each(['garbage', 'ktr_x', 'ktk_x', 'a.b.c', 'é'])('returns 200 for %s and ends nothing', async (token) => {
  expect((await revoke({ token })).status).toBe(200);
  expect((await app.get('/me', ada.access_token)).status).toBe(200);
});

test('a forged token ends no session', async () => {
  for (const token of [ada.refresh_token, ada.access_token])
    expect((await revoke({ token: `${token.slice(0, -4)}AAAA` })).status).toBe(200);
  expect((await app.get('/me', ada.access_token)).status).toBe(200);
});

test('returns invalid_request for a missing, empty or repeated token', async () => {
  for (const form of ['', 'token=', 'token=a&token=b', 'token_type_hint=access_token'])
    expect(errorOf(await postForm(app, '/revoke', form))).toEqual([400, 'invalid_request']);
});

describe.each([-3600, -5, 0, 5, 3600])('with the clock of the process %i s ahead of the database', (seconds) => {
  beforeAll(() => app.clock.step(seconds));
  afterAll(() => app.clock.step(-seconds));

  test('a revocation ends the access tokens of an API key immediately and no later ones', async () => {
    const by = basic(key.client_id, key.client_secret);
    // Many of these follow each other within one second.
    for (let round = 0; round < 5; round += 1) {
      const [token, sibling] = [await keyToken(), await keyToken()];
      expect((await app.get('/me', token)).status).toBe(200);
      expect((await revoke({ token }, by)).status).toBe(200);
      const later = await keyToken();
      const statuses = [token, sibling, later].map(async (each) => (await app.get('/me', each)).status);
      expect(await Promise.all(statuses)).toEqual([401, 401, 200]);
    }
  });
});

test('revocations of an API key stay effective when the clock of the database is set back', async () => {
  const own = await app.apiKeyOf(ada, ['profile']);
  const by = basic(own.client_id, own.client_secret);
  await app.db.apiKeys.setTokenEpoch(own, 3600);
  const token = await keyToken(own);
  expect((await revoke({ token }, by)).status).toBe(200);
  const later = await keyToken(own);
  expect((await app.get('/me', token)).status).toBe(401);
  expect((await app.get('/me', later)).status).toBe(200);
});

describe('an access token of an API key without an epoch, as earlier releases issued it,', () => {
  /** Issued `ago` seconds ago. */
  const oldToken = async (own: ApiKey, ago: number) => {
    const signer = app.keyring.active();
    const claims = decodeJwt(await keyToken(own));
    const [head = ''] = (await keyToken(own)).split('.');
    const old = { ...claims, jti: randomUUID(), iat: (claims.iat ?? 0) - ago };
    const input = `${head}.${Buffer.from(JSON.stringify(old)).toString('base64url')}`;
    return `${input}.${signer.sign(input).toString('base64url')}`;
  };

  test('is valid until a revocation, and again for tokens that were certainly issued afterwards', async () => {
    const own = await app.apiKeyOf(ada, ['profile']);
    const statusOf = async (ago: number) => (await app.get('/me', await oldToken(own, ago))).status;
    expect(await statusOf(0)).toBe(200);
    expect((await revoke({ token: await keyToken(own) }, basic(own.client_id, own.client_secret))).status).toBe(200);
    expect([await statusOf(0), await statusOf(-5)]).toEqual([401, 401]);
    await app.db.apiKeys.setTokenEpoch(own, -600);
    expect([await statusOf(500), await statusOf(700)]).toEqual([200, 401]);
  });
});

describe('clients revoke only their own tokens', () => {
  test('an API key cannot end a session with either of its tokens', async () => {
    const account = await app.register();
    const by = basic(key.client_id, key.client_secret);
    for (const token of [account.access_token, account.refresh_token])
      expect(errorOf(await revoke({ token }, by))).toEqual([400, 'invalid_grant']);
    expect(await isLive(account)).toEqual([200, 200]);
  });

  test('only the API key itself revokes its access tokens', async () => {
    const token = await keyToken();
    const other = await app.apiKeyOf(ada, ['profile']);
    expect(errorOf(await revoke({ token }))).toEqual([400, 'invalid_grant']);
    expect(errorOf(await revoke({ token }, basic(other.client_id, other.client_secret)))).toEqual([
      400,
      'invalid_grant',
    ]);
    const own = await revoke({ token }, basic(key.client_id, key.client_secret));
    expect(own.status).toBe(200);
    expect((await app.get('/me', token)).status).toBe(401);
    expect((await app.call('get', '/me', { headers: { 'x-api-key': key.client_secret } })).status).toBe(200);
    expect((await app.get('/me', await keyToken())).status).toBe(200);
  });

  test('a client with a wrong secret revokes nothing', async () => {
    const account = await app.register();
    const response = await revoke({ token: account.refresh_token }, basic(key.client_id, 'ktk_wrong'));
    expect(errorOf(response)).toEqual([401, 'invalid_client']);
    expect(response.headers['www-authenticate']).toBe('Basic realm="keyturn"');
    const inBody = { token: account.refresh_token, client_id: key.client_id, client_secret: 'ktk_wrong' };
    expect(errorOf(await revoke(inBody))).toEqual([401, 'invalid_client']);
    expect(await isLive(account)).toEqual([200, 200]);
  });
});
