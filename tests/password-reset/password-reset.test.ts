import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(60_000);

const next = 'a quieter mare and no battery';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ LOCKOUT_ATTEMPTS: '5' });
});
afterAll(() => app.close());

const requestReset = async (email: string) => {
  await app.emails(); // Emails that are due at the same time are sent in any order.
  expect((await app.post('/forgot-password', { email })).status).toBe(202);
  return (await app.nextEmail(email)).token ?? '';
};
const reset = (token: string, secret = next) => app.post('/reset-password', { token, new_password: secret });

test('a reset sets the password, revokes every session, creates none and sends a notice', async () => {
  const { email, user, access_token: accessToken, refresh_token: refreshToken } = await app.register();
  const other = (await app.login(email)).body;
  const token = await requestReset(email);
  const response = await reset(token);
  expect([response.status, response.text]).toEqual([204, '']);
  expect(response.headers['set-cookie']).toBeUndefined();
  expect((await app.get('/me', accessToken)).status).toBe(401);
  for (const revoked of [refreshToken, other.refresh_token])
    expect((await app.refresh(revoked)).body).toMatchObject({ status: 401, reason: 'revoked' });
  expect((await app.login(email)).status).toBe(401);
  expect((await app.login(email, next)).status).toBe(200);
  const notice = await app.nextEmail(email);
  expect(notice.link).toBeUndefined();
  expect(notice.subject).toMatch(/password/i);
  const events = await app.db.audit.events({ user_id: user.id, type: 'password.' });
  expect(events).toMatchObject([
    { type: 'password.reset_asked', outcome: 'success' },
    { type: 'password.reset', outcome: 'success' },
  ]);
});

test('a reset works while the account is locked and lifts the lockout', async () => {
  const { email } = await app.register();
  for (let tries = 0; tries < 5; tries += 1) await app.login(email, 'a wrong password');
  expect((await app.login(email)).status).toBe(423);
  expect((await reset(await requestReset(email))).status).toBe(204);
  expect((await app.login(email, next)).status).toBe(200);
});

test('a reset and a failed login lock the counters in the same order, so that they cannot deadlock', async () => {
  const { email } = await app.register();
  await app.login(email, 'a wrong password');
  const token = await requestReset(email);
  const { rows } = await app.sql.query('SELECT email_hmac FROM lockouts ORDER BY last_attempt_at DESC LIMIT 1');
  const hmac = rows[0].email_hmac as Buffer;
  const login = await app.sql.connect();
  const count = (networks: string) =>
    login.query(`UPDATE lockouts SET failures = failures WHERE email_hmac = $1 AND network ${networks}`, [hmac]);
  try {
    await login.query('CLUSTER lockouts USING lockouts_pkey'); // The common row comes first, however the rows are read.
    await login.query('BEGIN');
    await count(`<> '*'`);
    const response = reset(token);
    while ((await app.db.server.blockedStatements()) === 0) await sleep(20);
    await count(`= '*'`);
    await login.query('COMMIT');
    expect((await response).status).toBe(204);
  } finally {
    login.release(true);
  }
});

test('a reset verifies the email address', async () => {
  const { email } = await app.register();
  await reset(await requestReset(email));
  const { access_token: token } = (await app.login(email, next)).body;
  expect((await app.get('/me', token)).body).toMatchObject({ email_verified: true });
});

test('a rejected password does not spend the link', async () => {
  const { email } = await app.register();
  const token = await requestReset(email);
  for (const bad of ['short', 'password1', email]) {
    const { status, body } = await reset(token, bad);
    expect([status, body.code]).toEqual([400, 'validation_failed']);
    expect(body.errors[0].path).toBe('new_password');
    expect(JSON.stringify(body)).not.toContain(token);
  }
  expect((await reset(token)).status).toBe(204);
});

test('the password cannot be the name or the email address of the account', async () => {
  const { email } = await app.register({ display_name: 'Grace Brewster' });
  const token = await requestReset(email);
  expect((await reset(token, 'grace-brewster1')).body).toMatchObject({ status: 400, code: 'validation_failed' });
});

test('only active accounts receive a reset email', async () => {
  const disabled = await app.disabledUser();
  const before = (await app.emails()).length;
  for (const email of [disabled.email, freshEmail()])
    expect((await app.post('/forgot-password', { email })).status).toBe(202);
  expect((await app.emails()).slice(before)).toEqual([]);
  expect(await app.db.count('mails', { stage: 'asked' })).toBe(0);
});

test('an email change invalidates reset links to the old address', async () => {
  const { email, access_token: accessToken } = await app.register();
  const token = await requestReset(email);
  const newEmail = freshEmail();
  await app.post('/me/email', { new_email: newEmail, current_password: password }, accessToken);
  await app.post('/verify-email', { token: (await app.nextEmail(newEmail)).token });
  expect((await reset(token)).status).toBe(400);
});

test('a concurrent password change and reset have the result of one order or the other', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { email, access_token: accessToken } = await app.register();
    const token = await requestReset(email);
    const change = { current_password: password, new_password: 'the password that the owner chose' };
    const [changed, wasReset] = await Promise.all([app.post('/me/password', change, accessToken), reset(token)]);
    const statuses = `${changed.status} ${wasReset.status}`;
    expect(['204 400', '401 204', '204 204']).toContain(statuses);
    expect((await app.login(email, next)).status).toBe(wasReset.status === 204 ? 200 : 401);
  }
});

test('without SMTP, email endpoints return 403 for every address', async () => {
  const silent = await startApp({ EMAIL_VERIFICATION: 'off' }, { mailer: null });
  const { email, access_token: token } = await silent.register();
  for (const address of [email, freshEmail()])
    for (const path of ['/forgot-password', '/verify-email/resend'])
      expect((await silent.post(path, { email: address })).body).toMatchObject({ status: 403, code: 'mail_disabled' });
  const change = { new_email: freshEmail(), current_password: password };
  expect((await silent.post('/me/email', change, token)).body).toMatchObject({ status: 403, code: 'mail_disabled' });
  await silent.close();
});

test('a password change sends a notice to the account', async () => {
  const { email, access_token: token } = await app.register();
  await app.emails();
  await app.post('/me/password', { current_password: password, new_password: next }, token);
  const notice = await app.nextEmail(email);
  expect(notice.subject).toMatch(/password/i);
  expect(notice.link).toBeUndefined();
});
