// Every endpoint of openapi.yaml that requires an access token, with every kind of invalid token.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
import { type Admin, adminScopes } from '../support/builders.ts';
import { operations } from './operations.ts';
import { exchange, send, summaryOf } from './wire.ts';

jest.setTimeout(60_000);

const allScopes = `profile sessions api-keys ${adminScopes}`;
const noCredentials = [401, 'Bearer realm="keyturn"', 'invalid_access_token', 'no-store'];
const invalidToken = [401, 'Bearer realm="keyturn", error="invalid_token"', 'invalid_access_token', 'no-store'];

/** Ways to revoke the session of a token whose JWT has not expired. */
const endings: [title: string, end: (app: TestApp, account: Account) => Promise<unknown>][] = [
  ['a session that was logged out', (app, { refresh_token: token }) => app.post('/logout', { refresh_token: token })],
  ['a session that expired unused', (app, account) => app.db.sessions.expire(account)],
  ['a session that reached its maximum lifetime', (app, account) => app.db.sessions.expireAbsolutely(account)],
  ['a purged session', (app, account) => app.db.sessions.remove(account)],
  ['a disabled user', (app, account) => app.db.users.disable(account)],
  ['a deleted user', (app, account) => app.db.users.remove(account)],
];

let app: TestApp;
let admin: Admin;
const deadTokens = new Map<string, string>();

/** Creates an account whose access token has every scope. */
async function accountWithAllScopes(): Promise<Account> {
  const registered = await app.register();
  await app.db.roles.grant(registered, 'admin');
  const { body } = await app.post('/login', { email: registered.email, password, scope: allScopes });
  return { ...registered, ...(body as Account) };
}

beforeAll(async () => {
  app = await startApp();
  admin = await app.admin({ scope: allScopes });
  for (const [title, end] of endings) {
    const account = await accountWithAllScopes();
    const { status } = await app.get('/admin/users', account.access_token);
    if (status !== 200) throw new Error(`the token is invalid before "${title}": ${status}`);
    await end(app, account);
    deadTokens.set(title, account.access_token);
  }
});
afterAll(() => app.close());

describe.each(operations.filter(({ needsToken }) => needsToken))(
  '$method $path',
  ({ method, path, scope = '', body }) => {
    const call = async (authorization: string | undefined, more: Record<string, string> = {}, query = '') => {
      const content = body ? { 'content-type': 'application/json' } : {};
      const headers = { ...content, ...(authorization === undefined ? {} : { authorization }), ...more };
      const sent = { method, headers, body: body && JSON.stringify(body.example) };
      const response = await send(app.baseUrl, path + query, sent);
      const { code } = response.text ? (JSON.parse(response.text) as { code?: string }) : {};
      return [response.status, response.headers['www-authenticate'], code, response.headers['cache-control']];
    };

    test('a token with the scope is accepted, whatever the case of "Bearer"', async () => {
      const { access_token: token } = await accountWithAllScopes();
      const [status, challenge, code] = await call(`bEaReR ${token}`);
      expect([challenge, status === 403]).toEqual([undefined, false]);
      expect(['invalid_access_token', 'insufficient_scope']).not.toContain(code);
    });

    test('no credentials get a challenge without an error code (RFC 6750 section 3.1)', async () => {
      for (const other of [undefined, '', 'Bearer', 'Bearer ', 'Basic YTpi', 'Token x'])
        expect(await call(other)).toEqual(noCredentials);
    });

    test('a valid token anywhere but after "Bearer" in the Authorization header is ignored', async () => {
      expect(await call(undefined, {}, `?access_token=${admin.token}`)).toEqual(noCredentials);
      expect(await call(undefined, { cookie: `access_token=${admin.token}` })).toEqual(noCredentials);
      expect(await call(undefined, { 'x-access-token': admin.token })).toEqual(noCredentials);
      expect(await call(admin.token)).toEqual(noCredentials);
      expect(await call(`DPoP ${admin.token}`)).toEqual(noCredentials);
    });

    test('a malformed token is invalid_token', async () => {
      for (const bad of ['Bearer x', 'bearer x', 'Bearer a.b.c', 'BEARER  ..', `Bearer ${admin.token.slice(0, -1)}`])
        expect(await call(bad)).toEqual(invalidToken);
    });

    test('a refresh token is invalid_token', async () => {
      expect(await call(`Bearer ${admin.refresh_token}`)).toEqual(invalidToken);
    });

    test.each(endings.map(([title]) => title))('the token of %s is invalid_token', async (title) => {
      expect(await call(`Bearer ${deadTokens.get(title)}`)).toEqual(invalidToken);
    });

    test('a token without the scope is refused with the name of the scope, and changes nothing', async () => {
      const others = allScopes.split(' ').filter((other) => other !== scope);
      const token = await app.tokenOf(admin, others.join(' '));
      const challenge = `Bearer realm="keyturn", error="insufficient_scope", scope="${scope}"`;
      expect((await call(`Bearer ${token}`)).slice(0, 3)).toEqual([403, challenge, 'insufficient_scope']);
      expect((await app.get('/me', admin.token)).status).toBe(200);
      expect((await app.login(admin.email)).status).toBe(200);
    });

    test('two Authorization headers are 400 invalid_request', async () => {
      const line = `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n`;
      for (const second of ['Bearer x', 'Basic YTpi']) {
        const received = await exchange(
          app.baseUrl,
          `${line}Authorization: Bearer x\r\nAuthorization: ${second}\r\n\r\n`,
        );
        expect(summaryOf(received)).toMatchObject({ status: 400, type: 'application/problem+json' });
        expect(received).toMatch(/^WWW-Authenticate: Bearer realm="keyturn", error="invalid_request"\r$/m);
      }
    });
  },
);
