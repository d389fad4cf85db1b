// Published OAuth client libraries, with their own discovery and validation.
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { setTimeout } from 'node:timers/promises';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { ClientCredentials, ResourceOwnerPassword } from 'simple-oauth2';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
import { freePort } from '../support/free-port.ts';
import type { ApiKey } from '../support/builders.ts';

jest.setTimeout(60_000);

let app: TestApp;
let issuer: string;
let ada: Account;
let key: ApiKey;
beforeAll(async () => {
  const port = await freePort();
  issuer = `http://127.0.0.1:${port}`;
  app = await startApp({ ISSUER: issuer }, { port });
  ada = await app.register();
  await app.db.roles.grant(ada, 'admin');
  key = await app.apiKeyOf(ada, ['profile', 'tokens:introspect']);
});
afterAll(() => app.close());

const statusOfMe = async (token: string) => (await app.get('/me', token)).status;

describe('oauth4webapi', () => {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const firstParty: oauth.Client = { client_id: 'first-party' };
  let server: oauth.AuthorizationServer;
  beforeAll(async () => {
    const url = new URL(issuer);
    server = await oauth.processDiscoveryResponse(
      url,
      await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure }),
    );
  });

  test.each(['oauth2', 'oidc'] as const)('finds the metadata as %s', async (algorithm) => {
    const url = new URL(issuer);
    const found = await oauth.processDiscoveryResponse(
      url,
      await oauth.discoveryRequest(url, { algorithm, ...insecure }),
    );
    expect(found).toMatchObject({ issuer, token_endpoint: `${issuer}/token` });
  });

  test.each([
    ['HTTP Basic', () => oauth.ClientSecretBasic(key.client_secret)],
    ['the body', () => oauth.ClientSecretPost(key.client_secret)],
  ])('exchanges client credentials by %s, introspects the token and revokes it', async (_, makeAuth) => {
    const client: oauth.Client = { client_id: key.client_id };
    const tokenResponse = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      makeAuth(),
      { scope: 'profile' },
      insecure,
    );
    const { access_token: token, scope } = await oauth.processClientCredentialsResponse(server, client, tokenResponse);
    expect([scope, await statusOfMe(token)]).toEqual(['profile', 200]);
    const about = await oauth.processIntrospectionResponse(
      server,
      client,
      await oauth.introspectionRequest(server, client, makeAuth(), token, insecure),
    );
    expect(about).toMatchObject({ active: true, sub: key.client_id, iss: issuer, scope: 'profile' });
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, makeAuth(), token, insecure));
    expect(await statusOfMe(token)).toBe(401);
    await setTimeout(1100); // so that the next token has another `iat`
  });

  test('logs in with a password, refreshes, narrows the scope and revokes', async () => {
    const none = oauth.None();
    const form = new URLSearchParams({ username: ada.email, password });
    const tokenResponse = await oauth.genericTokenEndpointRequest(server, firstParty, none, 'password', form, insecure);
    const first = await oauth.processGenericTokenEndpointResponse(server, firstParty, tokenResponse);
    const refresh = async (token = '', scope?: string) => {
      const more = { ...insecure, ...(scope ? { additionalParameters: { scope } } : {}) };
      const response = await oauth.refreshTokenGrantRequest(server, firstParty, none, token, more);
      return oauth.processRefreshTokenResponse(server, firstParty, response);
    };
    const narrow = await refresh(first.refresh_token, 'profile');
    expect(narrow.scope).toBe('profile');
    const full = await refresh(narrow.refresh_token);
    expect(full.scope).toBe('profile sessions');
    const gone = await oauth.revocationRequest(server, firstParty, none, full.refresh_token ?? '', insecure);
    await oauth.processRevocationResponse(gone);
    await expect(refresh(full.refresh_token)).rejects.toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(await statusOfMe(full.access_token)).toBe(401);
  });

  test('reads the challenge for a wrong secret', async () => {
    const client: oauth.Client = { client_id: key.client_id };
    const wrong = oauth.ClientSecretBasic('ktk_wrong');
    const response = await oauth.clientCredentialsGrantRequest(server, client, wrong, {}, insecure);
    await expect(oauth.processClientCredentialsResponse(server, client, response)).rejects.toMatchObject({
      status: 401,
      cause: [{ scheme: 'basic', parameters: { realm: 'keyturn' } }],
    });
  });
});

describe('openid-client', () => {
  const discover = (id: string, clientAuth: openid.ClientAuth) =>
    openid.discovery(new URL(issuer), id, undefined, clientAuth, { execute: [openid.allowInsecureRequests] });

  test('exchanges client credentials and introspects the token', async () => {
    const config = await discover(key.client_id, openid.ClientSecretBasic(key.client_secret));
    const { access_token: token } = await openid.clientCredentialsGrant(config, { scope: 'profile' });
    expect(await statusOfMe(token)).toBe(200);
    expect(await openid.tokenIntrospection(config, token)).toMatchObject({ active: true, client_id: key.client_id });
    expect(await openid.tokenIntrospection(config, 'garbage')).toEqual({ active: false });
  });

  test('logs in with a password, refreshes, revokes and introspects the revoked token', async () => {
    const config = await discover('first-party', openid.None());
    const asker = await discover(key.client_id, openid.ClientSecretPost(key.client_secret));
    const first = await openid.genericGrantRequest(config, 'password', { username: ada.email, password });
    const second = await openid.refreshTokenGrant(config, first.refresh_token ?? '');
    expect(await openid.tokenIntrospection(asker, second.access_token)).toMatchObject({
      active: true,
      sub: ada.user.id,
    });
    expect(await openid.tokenIntrospection(asker, second.refresh_token ?? '')).toMatchObject({ active: true });
    await openid.tokenRevocation(config, second.access_token);
    expect(await openid.tokenIntrospection(asker, second.access_token)).toEqual({ active: false });
    expect(await openid.tokenIntrospection(asker, second.refresh_token ?? '')).toEqual({ active: false });
    await expect(openid.refreshTokenGrant(config, second.refresh_token ?? '')).rejects.toMatchObject({
      error: 'invalid_grant',
    });
  });

  test('recognizes the error for a wrong password', async () => {
    const config = await discover('first-party', openid.None());
    const refused = openid.genericGrantRequest(config, 'password', { username: ada.email, password: 'not it' });
    await expect(refused).rejects.toMatchObject({ status: 400, error: 'invalid_grant' });
  });
});

describe('simple-oauth2', () => {
  const auth = () => ({ tokenHost: issuer, tokenPath: '/token', revokePath: '/revoke' });

  test.each(['header', 'body'] as const)(
    'logs in with a password, refreshes and revokes with the client in the %s',
    async (method) => {
      const client = new ResourceOwnerPassword({
        client: { id: 'first-party', secret: '' },
        auth: auth(),
        options: { authorizationMethod: method },
      });
      const first = await client.getToken({ username: ada.email, password, scope: 'profile sessions' });
      expect([first.expired(), await statusOfMe(first.token.access_token)]).toEqual([false, 200]);
      const second = await first.refresh({ scope: 'profile' });
      expect(second.token.scope).toBe('profile');
      await second.revoke('refresh_token');
      await expect(second.refresh()).rejects.toMatchObject({ data: { payload: { error: 'invalid_grant' } } });
    },
  );

  test.each(['header', 'body'] as const)('exchanges client credentials with the client in the %s', async (method) => {
    const { client_id: id, client_secret: secret } = key;
    const options = { authorizationMethod: method };
    const { token } = await new ClientCredentials({ client: { id, secret }, auth: auth(), options }).getToken({});
    expect(await statusOfMe(token.access_token)).toBe(200);
    expect(token).not.toHaveProperty('refresh_token');
    const wrong = new ClientCredentials({ client: { id, secret: 'ktk_wrong' }, auth: auth(), options });
    await expect(wrong.getToken({})).rejects.toMatchObject({
      output: { statusCode: 401 },
      data: { payload: { error: 'invalid_client' } },
    });
  });
});
