// What a client meets that repeats a request after a lost response, as docs/clients.md says. `/refresh`: tests/refresh/.
// `/me/password`: tests/account/.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Account, freshEmail, password, startApp, type TestApp } from '../harness.ts';
import type { Admin } from '../support/builders.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const next = 'a quieter mare and no battery';

/** Sends a request twice and returns both outcomes: the status, and the code of an error. */
async function twice(method: 'post' | 'delete', path: string, body?: unknown, token?: string) {
  const outcomes: unknown[] = [];
  for (let times = 0; times < 2; times += 1) {
    const response = await app.call(method, path, { body, token });
    const { code } = response.body as { code?: string };
    outcomes.push(code === undefined ? response.status : [response.status, code]);
  }
  return outcomes;
}

const gone = [401, 'invalid_access_token'];
const notFound = [404, 'not_found'];
const spent = [400, 'invalid_token'];

describe('a repeated request', () => {
  test('to register returns 409, and the same credentials log in', async () => {
    const email = freshEmail();
    const body = { email, password, display_name: 'Ada Lovelace' };
    expect(await twice('post', '/register', body)).toEqual([201, [409, 'email_taken']]);
    expect((await app.login(email)).status).toBe(200);
  });

  test('to log out returns 204', async () => {
    const { refresh_token: token } = await app.register();
    expect(await twice('post', '/logout', { refresh_token: token })).toEqual([204, 204]);
  });

  test('to log out everywhere or to delete the account returns 401, because the session has ended', async () => {
    const { access_token: token } = await app.register();
    expect(await twice('post', '/logout/all', undefined, token)).toEqual([204, gone]);
    const { access_token: other } = await app.register();
    expect(await twice('post', '/me/delete', { current_password: password }, other)).toEqual([204, gone]);
  });

  test('to end a session returns 404, or 401 for the own one', async () => {
    const account = await app.register();
    const { session_id: id } = (await app.login(account.email)).body as Account;
    expect(await twice('delete', `/sessions/${id}`, undefined, account.access_token)).toEqual([204, notFound]);
    expect(await twice('delete', `/sessions/${account.session_id}`, undefined, account.access_token)).toEqual([
      204,
      gone,
    ]);
  });

  test('to verify an address returns 400, and GET /me shows that it is verified', async () => {
    const { email, access_token: token } = await app.register();
    const body = { token: (await app.nextEmail(email)).token };
    expect(await twice('post', '/verify-email', body)).toEqual([204, spent]);
    expect((await app.get('/me', token)).body).toMatchObject({ email_verified: true });
  });

  test('to reset a password returns 400, and the new password logs in', async () => {
    const { email } = await app.verifiedUser();
    await app.emails();
    await app.post('/forgot-password', { email });
    const body = { token: (await app.nextEmail(email)).token, new_password: next };
    expect(await twice('post', '/reset-password', body)).toEqual([204, spent]);
    expect((await app.login(email, next)).status).toBe(200);
  });

  test('to change the email address replaces the link, and says when the change is complete', async () => {
    const { access_token: token } = await app.register();
    const wanted = freshEmail();
    const body = { new_email: wanted, current_password: password };
    await app.post('/me/email', body, token);
    const first = await app.nextEmail(wanted);
    await app.post('/me/email', body, token);
    const second = await app.nextEmail(wanted);
    expect((await app.post('/verify-email', { token: first.token })).status).toBe(400);
    expect((await app.post('/verify-email', { token: second.token })).status).toBe(204);
    expect((await app.post('/me/email', body, token)).body).toMatchObject({
      code: 'validation_failed',
      errors: [{ path: 'new_email', message: 'is already the email address of your account' }],
    });
  });

  test('to create an API key leaves a key that its owner finds unused in the list and revokes', async () => {
    const account = await app.register();
    const token = await app.tokenOf(account, 'api-keys profile');
    const body = { name: 'Nightly report', scopes: ['profile'] };
    const lost = (await app.post('/api-keys', body, token)).body as { id: string };
    const { api_keys: keys } = (await app.get('/api-keys', token)).body as { api_keys: unknown[] };
    expect(keys).toEqual([expect.objectContaining({ id: lost.id, name: 'Nightly report', last_used_at: null })]);
    expect(await twice('delete', `/api-keys/${lost.id}`, undefined, token)).toEqual([204, notFound]);
  });
});

describe('a repeated request of an administrator', () => {
  let admin: Admin;
  beforeAll(async () => {
    admin = await app.admin();
  });

  test('to create a role returns 409, and to delete it 404', async () => {
    const body = { name: 'repeated', scopes: ['articles:write'] };
    expect(await twice('post', '/admin/roles', body, admin.token)).toEqual([201, [409, 'conflict']]);
    expect(await twice('delete', '/admin/roles/repeated', undefined, admin.token)).toEqual([204, notFound]);
  });

  test('to log out or unlock a user returns 204, and to delete the user 404', async () => {
    const { user } = await app.register();
    for (const action of ['logout', 'unlock'])
      expect(await twice('post', `/admin/users/${user.id}/${action}`, undefined, admin.token)).toEqual([204, 204]);
    expect(await twice('delete', `/admin/users/${user.id}`, undefined, admin.token)).toEqual([204, notFound]);
  });

  test('to rotate the signing keys requests the same rotation, audited once', async () => {
    const rotate = () => app.post('/admin/keys/rotate', undefined, admin.token);
    const [first, second] = [await rotate(), await rotate()];
    expect(second.body).toEqual(first.body);
    expect(await app.db.audit.events({ type: 'signing_key.asked' })).toHaveLength(1);
  });

  test('to revoke a signing key returns 204 and is audited once', async () => {
    const { keys } = (await app.get('/admin/keys', admin.token)).body as { keys: { kid: string; status: string }[] };
    const kid = keys.find(({ status }) => status === 'next')?.kid;
    expect(await twice('post', `/admin/keys/${kid}/revoke`, undefined, admin.token)).toEqual([204, 204]);
    expect(await app.db.audit.events({ type: 'signing_key.revoked' })).toHaveLength(1);
  });
});
