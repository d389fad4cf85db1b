import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import request from 'supertest';
import { startApp, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

const documents = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'];

let app: TestApp;
let withPath: TestApp;
beforeAll(async () => {
  app = await startApp({ ISSUER: 'https://auth.example.com' });
  withPath = await startApp({ ISSUER: 'https://example.com/tenant/one' });
});
afterAll(async () => {
  await app.close();
  await withPath.close();
});

describe.each(documents)('%s', (path) => {
  test('names the issuer of the tokens and the JWKS URL', async () => {
    const response = await app.get(path);
    expect(response.status).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': expect.stringMatching(/^application\/json/),
      'cache-control': expect.stringContaining('public, max-age=300'),
      'access-control-allow-origin': '*',
    });
    expect(response.body).toMatchObject({
      issuer: 'https://auth.example.com',
      jwks_uri: 'https://auth.example.com/.well-known/jwks.json',
      token_endpoint: 'https://auth.example.com/token',
      revocation_endpoint: 'https://auth.example.com/revoke',
      introspection_endpoint: 'https://auth.example.com/introspect',
      grant_types_supported: ['password', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
      revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'Bearer'],
      response_types_supported: ['none'],
      service_documentation: 'https://auth.example.com/openapi.yaml',
    });
    expect(response.body.scopes_supported).toEqual(expect.arrayContaining(['profile', 'sessions', 'api-keys']));
    const { access_token: token } = await app.register();
    expect(response.body.issuer).toBe(decodeJwt(token).iss);
  });

  test('has no empty array (RFC 8414 section 3.2)', async () => {
    const members = Object.entries((await app.get(path)).body as Record<string, unknown>);
    expect(members.filter(([, value]) => Array.isArray(value) && value.length === 0)).toEqual([]);
  });

  test('every URL in it exists', async () => {
    const { body } = await app.get(path);
    for (const url of [body.jwks_uri, body.service_documentation])
      expect((await app.get(new URL(url).pathname)).status).toBe(200);
    for (const name of ['token_endpoint', 'revocation_endpoint', 'introspection_endpoint'])
      expect((await app.get(new URL(body[name]).pathname)).headers['allow']).toBe('POST, OPTIONS');
  });

  test('keeps the trailing slash of the issuer', async () => {
    const slashed = await startApp({ ISSUER: 'https://auth.example.com/' });
    const { body } = await slashed.get(path);
    expect(body.issuer).toBe('https://auth.example.com/');
    expect(body.jwks_uri).toBe('https://auth.example.com/.well-known/jwks.json');
    expect(decodeJwt((await slashed.register()).access_token).iss).toBe('https://auth.example.com/');
    await slashed.close();
  });

  test('ignores the Host header', async () => {
    const { text: expected } = await app.get(path);
    const spoofed = await request(app.baseUrl).get(path).set({
      Host: 'evil.example',
      Forwarded: 'host=evil.example;proto=http',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'http',
    });
    expect(spoofed.status).toBe(200);
    expect(spoofed.text).toBe(expected);
  });

  test('returns 304 for a matching If-None-Match', async () => {
    const { headers } = await app.get(path);
    const again = await app.get(path, undefined, { 'if-none-match': headers['etag'] ?? '' });
    expect([again.status, again.text]).toEqual([304, '']);
  });
});

test('the type of a problem ignores the Host header', async () => {
  const response = await request(app.baseUrl).get('/me').set('Host', 'evil.example');
  expect(response.body.type).toBe('https://auth.example.com/problems/invalid-access-token');
});

test('the well-known path precedes the path of the issuer (RFC 8414 section 3)', async () => {
  const response = await withPath.get('/.well-known/oauth-authorization-server/tenant/one');
  expect(response.status).toBe(200);
  expect(response.body).toMatchObject({
    issuer: 'https://example.com/tenant/one',
    jwks_uri: 'https://example.com/tenant/one/.well-known/jwks.json',
  });
  expect((await withPath.get('/.well-known/oauth-authorization-server/tenant/two')).status).toBe(404);
  expect((await app.get('/.well-known/oauth-authorization-server/tenant/one')).status).toBe(404);
});

test('the openid-configuration has the members that OpenID Connect libraries require', async () => {
  const { body } = await app.get('/.well-known/openid-configuration');
  expect(body).toMatchObject({
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  });
});
