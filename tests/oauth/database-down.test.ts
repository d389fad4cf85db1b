import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type Account, password, startApp, type TestApp } from '../harness.ts';
import { type Gate, startGate } from '../operations/gate.ts';
import { createDatabase } from '../support/database.ts';
import type { ApiKey } from '../support/builders.ts';
import { basic, errorOf, type Parameters, postForm } from '../support/oauth.ts';

jest.setTimeout(60_000);

let database: Awaited<ReturnType<typeof createDatabase>>;
let gate: Gate;
let app: TestApp;
let ada: Account;
let key: ApiKey;
beforeAll(async () => {
  database = await createDatabase();
  gate = await startGate(database.url);
  app = await startApp({ DATABASE_TIMEOUT: '1s' }, { databaseUrl: gate.url });
  ada = await app.register();
  await app.db.roles.grant(ada, 'admin');
  key = await app.apiKeyOf(ada, ['tokens:introspect']);
});
afterAll(async () => {
  await app.close();
  await gate.close();
  await database.drop();
});

const calls = (): [path: string, form: Parameters, headers: Record<string, string>][] => {
  const asKey = basic(key.client_id, key.client_secret);
  return [
    ['/token', { grant_type: 'password', username: ada.email, password }, {}],
    ['/token', { grant_type: 'refresh_token', refresh_token: ada.refresh_token }, {}],
    ['/token', { grant_type: 'refresh_token', refresh_token: ada.refresh_token, scope: 'profile' }, {}],
    ['/token', { grant_type: 'client_credentials' }, asKey],
    ['/revoke', { token: ada.refresh_token }, {}],
    ['/revoke', { token: ada.access_token }, {}],
    ['/revoke', { token: 'garbage' }, asKey],
    ['/introspect', { token: ada.access_token }, asKey],
    ['/introspect', { token: ada.refresh_token }, asKey],
  ];
};

test('returns 503 with Retry-After while the database is unavailable', async () => {
  gate.refuse();
  for (const [path, form, headers] of calls()) {
    const response = await postForm(app, path, form, headers);
    expect([path, form, ...errorOf(response)]).toEqual([path, form, 503, 'temporarily_unavailable']);
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  }
  expect((await postForm(app, '/revoke', { token: 'garbage' })).status).toBe(200);
  gate.open();
  const again: number[] = [];
  for (const [path, form, headers] of calls()) again.push((await postForm(app, path, form, headers)).status);
  // The first revocation has ended the session.
  expect(again).toEqual([200, 200, 200, 200, 200, 200, 200, 200, 200]);
  expect((await app.get('/me', ada.access_token)).status).toBe(401);
});
