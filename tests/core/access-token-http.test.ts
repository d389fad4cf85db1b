import { createPrivateKey, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { CompactSign, decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { deriveMasterKeys, unseal } from '../../src/lib/master-keys.ts';
import { type Account, startApp, type TestApp } from '../harness.ts';
import type { Members } from './forger.ts';

jest.setTimeout(30_000);

const root = randomBytes(32);

let app: TestApp;
let account: Account;
let resign: (claims: Members, header?: Members) => Promise<string>;
beforeAll(async () => {
  app = await startApp({ MASTER_KEYS: root.toString('base64url') });
  account = await app.register();
  const active = (await app.db.signingKeys.all()).find(({ status }) => status === 'active');
  if (!active) throw new Error('no active key');
  const der = unseal(deriveMasterKeys([root])[0].encryption, active.kid, active.sealedKey);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const good = { header: decodeProtectedHeader(account.access_token), claims: decodeJwt(account.access_token) };
  resign = (claims, header = {}) =>
    new CompactSign(Buffer.from(JSON.stringify({ ...good.claims, ...claims })))
      .setProtectedHeader({ alg: 'ES256', ...good.header, ...header })
      .sign(privateKey);
});
afterAll(() => app.close());

/** The responses of two endpoints to the token: `refused`, or the response itself. */
async function responsesTo(token: string): Promise<string[]> {
  const responses = [await app.get('/me', token), await app.get('/sessions', token)];
  return responses.map(({ status, body, headers }) => {
    const response = `${status} ${body.code} ${headers['www-authenticate']}`;
    return response === '401 invalid_access_token Bearer realm="keyturn", error="invalid_token"' ? 'refused' : response;
  });
}

const refused = ['refused', 'refused'];

test('a re-signed copy of a valid token is accepted', async () => {
  expect((await app.get('/me', await resign({}))).status).toBe(200);
});

test('a token of another service is refused', async () => {
  const other = await startApp();
  const stranger = await other.register();
  expect(await responsesTo(stranger.access_token)).toEqual(refused);
  expect((await other.get('/me', stranger.access_token)).status).toBe(200);
  await other.close();
});

test('a token with a forged header or signature is refused', async () => {
  const { header, claims } = { header: { alg: 'HS256', typ: 'at+jwt' }, claims: decodeJwt(account.access_token) };
  const jwks = (await app.get('/.well-known/jwks.json')).text;
  const [publicJwk] = JSON.parse(jwks).keys;
  expect(
    await responsesTo(
      await new SignJWT(claims).setProtectedHeader({ ...header, kid: publicJwk.kid }).sign(Buffer.from(jwks)),
    ),
  ).toEqual(refused);
  const [head = '', body = '', signature = ''] = account.access_token.split('.');
  // The header is parsed before the signature is verified: JSON can contain names that a string conversion calls.
  for (const changed of [{ typ: { toString: 1 } }, { alg: { toJSON: 1 } }, { kid: ['x'] }, { crit: { length: -1 } }]) {
    const forged = { ...decodeProtectedHeader(account.access_token), ...changed };
    expect(
      await responsesTo(`${Buffer.from(JSON.stringify(forged)).toString('base64url')}.${body}.${signature}`),
    ).toEqual(refused);
  }
  for (const token of [
    `${head}.${body}.`,
    `${head}.${body}`,
    `${head}.${body}.${signature.slice(2)}AA`,
    '{}',
    '..',
    'A'.repeat(10_000),
  ])
    expect(await responsesTo(token)).toEqual(refused);
});

test.each<[string, Members, Members]>([
  ['for another issuer', { iss: 'https://evil.example' }, {}],
  ['for another audience', { aud: 'https://evil.example' }, {}],
  ['that has expired', { exp: Math.floor(Date.now() / 1000) - 1 }, {}],
  ['whose expiry is a text', { exp: '9999999999' }, {}],
  ['without an expiry', { exp: undefined }, {}],
  ['that is not valid yet', { nbf: Math.floor(Date.now() / 1000) + 600 }, {}],
  ['without a session', { sid: undefined }, {}],
  ['with an invalid session id', { sid: 'x' }, {}],
  ['with SQL as its session', { sid: "' OR true --" }, {}],
  ['for a session that does not exist', { sid: '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11' }, {}],
  ['with a list of sessions', { sid: ['x', 'y'] }, {}],
  ['with another typ', {}, { typ: 'JWT' }],
  ['without typ', {}, { typ: undefined }],
])('a token %s is refused despite a valid signature', async (_what, claims, header) => {
  expect(await responsesTo(await resign(claims, header))).toEqual(refused);
});

test('a token whose subject is not an id is refused', async () => {
  for (const sub of [undefined, 'x', 7, null, '']) {
    const token = await resign({ sub });
    expect(await responsesTo(token)).toEqual(refused);
    expect((await app.post('/logout/all', undefined, token)).status).toBe(401);
    const { session_id: id } = account;
    expect((await app.call('delete', `/sessions/${id}`, { token })).status).toBe(401);
  }
  expect((await app.get('/me', account.access_token)).status).toBe(200);
});

test('a token that names a user other than the owner of the session changes neither', async () => {
  const other = await app.register();
  const token = await resign({ sub: other.user.id });
  expect((await app.post('/logout/all', undefined, token)).status).toBe(401);
  for (const { access_token } of [account, other]) expect((await app.get('/me', access_token)).status).toBe(200);
});
