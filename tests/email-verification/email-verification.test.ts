import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import type { ApiKey } from '../support/builders.ts';
import { basic, postForm } from '../support/oauth.ts';

jest.setTimeout(60_000);

const verify = (app: TestApp, token: string | undefined) => app.post('/verify-email', { token });
const eventsOf = async (app: TestApp, userId: string) =>
  (await app.db.audit.events({ user_id: userId })).map(({ type, outcome, reason }) =>
    [type, outcome, ...(reason ? [reason] : [])].join(' '),
  );

describe('with EMAIL_VERIFICATION=optional', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  test('a new account is logged in and receives a link that verifies its address', async () => {
    const { email, user, access_token: token } = await app.register();
    expect(user).toMatchObject({ email_verified: false });
    const message = await app.nextEmail(email);
    expect(message.link).toBe(`http://localhost:3000/verify-email?token=${message.token}`);
    const response = await verify(app, message.token);
    expect(response.status).toBe(204);
    expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });
    expect((await app.get('/me', token)).body).toMatchObject({ email_verified: true });
    expect(await eventsOf(app, user.id)).toEqual(['account.registered success', 'email.verified success']);
  });

  test('the next access token has email_verified', async () => {
    const { email, refresh_token: refreshToken } = await app.register();
    await verify(app, (await app.nextEmail(email)).token);
    const { access_token: token } = (await app.refresh(refreshToken)).body;
    const claims = JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ email_verified: true });
  });

  test('resend sends an email only to an unverified account', async () => {
    const [waiting, verified] = [await app.register(), await app.register()];
    await verify(app, (await app.nextEmail(verified.email)).token);
    await app.nextEmail(waiting.email);
    const before = (await app.emails()).length;
    for (const email of [waiting.email, verified.email, freshEmail()])
      expect((await app.post('/verify-email/resend', { email })).status).toBe(202);
    expect((await app.emails()).slice(before).map(({ to }) => to)).toEqual([waiting.email]);
    expect((await verify(app, (await app.nextEmail(waiting.email)).token)).status).toBe(204);
  });

  test('an address receives ten verification emails an hour, and the last link stays valid', async () => {
    const { email } = await app.register();
    for (let count = 0; count < 14; count += 1) {
      await app.post('/verify-email/resend', { email });
      await app.emails();
    }
    expect(await app.emails(email)).toHaveLength(10);
    expect((await verify(app, (await app.nextEmail(email)).token)).status).toBe(204);
  });

  test('registering a taken address returns 409', async () => {
    const { email } = await app.register();
    const response = await app.post('/register', { email, password, display_name: 'Eve' });
    expect(response.body).toMatchObject({ status: 409, code: 'email_taken' });
  });
});

describe('with EMAIL_VERIFICATION=required', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ EMAIL_VERIFICATION: 'required' });
  });
  afterAll(() => app.close());

  const register = (email: string, extra = {}) =>
    app.post('/register', { email, password, display_name: 'Ada Lovelace', ...extra });

  test('a new account cannot log in until its address is verified', async () => {
    const email = freshEmail();
    const response = await register(email);
    expect(response.status).toBe(202);
    expect(Object.keys(response.body)).toEqual(['message']);
    expect((await app.login(email)).body).toMatchObject({ status: 403, code: 'email_not_verified' });
    expect((await app.login(email, 'a wrong password')).body).toMatchObject({ status: 401 });
    expect((await verify(app, (await app.nextEmail(email)).token)).status).toBe(204);
    expect((await app.login(email)).status).toBe(200);
  });

  test('a registration with cookie transport sets no cookie', async () => {
    const response = await register(freshEmail(), { transport: 'cookie' });
    expect(response.status).toBe(202);
    expect(response.headers['set-cookie']).toBeUndefined();
  });

  test('registering a taken address returns the same response and emails its owner a reset link', async () => {
    const email = freshEmail();
    const first = await register(email);
    await verify(app, (await app.nextEmail(email)).token);
    const again = await register(email, { password: 'another of the good mares', display_name: 'Eve' });
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    const message = await app.nextEmail(email);
    expect(message.link).toContain('/reset-password?token=');
    expect(message.text).not.toContain('Eve');
    expect((await app.login(email)).status).toBe(200);
    expect((await app.login(email, 'another of the good mares')).status).toBe(401);
  });

  test('the owner of an address can take over an account that someone else registered with it', async () => {
    const email = freshEmail();
    await register(email, { password: 'the password of the squatter' });
    const squatted = await app.nextEmail(email);
    await register(email);
    const { token } = await app.nextEmail(email);
    expect((await app.post('/reset-password', { token, new_password: password })).status).toBe(204);
    expect((await verify(app, squatted.token)).status).toBe(400);
    expect((await app.login(email, 'the password of the squatter')).status).toBe(401);
    expect((await app.login(email)).status).toBe(200);
  });

  test('of 20 concurrent registrations of one address, one creates the account, and all return the same response', async () => {
    const email = freshEmail();
    const responses = await Promise.all(Array.from({ length: 20 }, () => register(email)));
    expect(new Set(responses.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(await app.db.count('users', { email })).toBe(1);
  });

  test('a correct password for an unverified account does not count as a failed login', async () => {
    const strict = await startApp({ EMAIL_VERIFICATION: 'required', LOCKOUT_ATTEMPTS: '2' });
    const email = freshEmail();
    await strict.post('/register', { email, password, display_name: 'Ada' });
    for (let tries = 0; tries < 5; tries += 1) expect((await strict.login(email)).status).toBe(403);
    await verify(strict, (await strict.nextEmail(email)).token);
    expect((await strict.login(email)).status).toBe(200);
    await strict.close();
  });
});

describe('after EMAIL_VERIFICATION was changed to required', () => {
  const MASTER_KEYS = randomBytes(32).toString('base64url');
  let before: TestApp;
  let app: TestApp;
  beforeAll(async () => {
    before = await startApp({ MASTER_KEYS });
    app = await startApp({ MASTER_KEYS, EMAIL_VERIFICATION: 'required' }, { databaseUrl: before.databaseUrl });
  });
  afterAll(async () => {
    await app.close();
    await before.close();
  });
  const asKey = ({ client_id: id, client_secret: secret }: ApiKey) => basic(id, secret);
  const tokenOf = async (key: ApiKey) =>
    (await postForm(before, '/token', { grant_type: 'client_credentials' }, asKey(key))).body.access_token as string;

  test('the session of an unverified user ends at its refresh, and its access tokens are rejected', async () => {
    const account = await before.register();
    expect((await app.get('/me', account.access_token)).body).toMatchObject({ code: 'invalid_access_token' });
    const refreshed = await app.refresh(account.refresh_token);
    expect(refreshed.body).toMatchObject({ status: 401, code: 'invalid_refresh_token', reason: 'revoked' });
    expect((await before.refresh(account.refresh_token)).status).toBe(401);
    expect(await eventsOf(app, account.user.id)).toContain('session.ended success email_not_verified');
    expect((await app.login(account.email)).body).toMatchObject({ code: 'email_not_verified' });
  });

  test('a replayed token of an unverified user returns no tokens', async () => {
    const account = await before.register();
    await before.refresh(account.refresh_token);
    expect((await app.refresh(account.refresh_token)).status).toBe(401);
  });

  test('the session of a user who has verified the address since then goes on', async () => {
    const account = await before.register();
    await before.db.users.markVerified(account);
    expect((await app.get('/me', account.access_token)).status).toBe(401); // it says that the address is not verified
    const { body } = await app.refresh(account.refresh_token);
    expect((await app.get('/me', body.access_token)).body).toMatchObject({ email_verified: true });
  });

  test('the session of a user whose address an administrator marks as not verified ends', async () => {
    const account = await before.verifiedUser();
    const admin = await before.admin();
    const path = `/admin/users/${account.user.id}`;
    await before.call('patch', path, { token: admin.token, body: { email_verified: false } });
    expect((await app.refresh(account.refresh_token)).status).toBe(401);
  });

  test('API keys of an unverified user do not work until the address is verified', async () => {
    const account = await before.register();
    const key = await before.apiKeyOf(account, ['profile']);
    const token = await tokenOf(key);
    const statuses = async () => [
      (await app.call('get', '/me', { headers: { 'x-api-key': key.client_secret } })).status,
      (await app.get('/me', token)).status,
      (await postForm(app, '/token', { grant_type: 'client_credentials' }, asKey(key))).status,
    ];
    expect(await statuses()).toEqual([401, 401, 401]);
    await before.db.users.markVerified(account);
    expect(await statuses()).toEqual([200, 200, 200]);
  });

  test('introspection returns no token of an unverified user as active', async () => {
    const account = await before.register();
    const key = await before.apiKeyOf(account, ['profile']);
    const admin = await before.admin();
    await before.db.users.markVerified(admin);
    const introspector = await before.apiKeyOf(admin, ['tokens:introspect']);
    for (const token of [account.access_token, account.refresh_token, await tokenOf(key)]) {
      const responses = [before, app].map((each) => postForm(each, '/introspect', { token }, asKey(introspector)));
      const [optional, required] = await Promise.all(responses);
      expect([optional?.body.active, required?.body]).toEqual([true, { active: false }]);
    }
  });
});

test('with EMAIL_VERIFICATION=off, a registration sends no email', async () => {
  const app = await startApp({ EMAIL_VERIFICATION: 'off' });
  const { email } = await app.register();
  expect(await app.emails(email)).toEqual([]);
  await app.post('/forgot-password', { email });
  expect((await app.nextEmail(email)).link).toContain('/reset-password?token=');
  await app.close();
});

test('links begin with APP_URL, whatever the Host header says', async () => {
  const app = await startApp({ APP_URL: 'https://app.example.com/account/' });
  const email = freshEmail();
  await app.call('post', '/register', {
    body: { email, password, display_name: 'Ada' },
    headers: { host: 'evil.test', 'x-forwarded-host': 'evil.test', origin: 'http://localhost:3000' },
  });
  const message = await app.nextEmail(email);
  expect(message.link).toMatch(/^https:\/\/app\.example\.com\/account\/verify-email\?token=kto_[\w-]{86}$/);
  expect(JSON.stringify(message)).not.toContain('evil.test');
  await app.close();
});
