import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(60_000);

const verify = (app: TestApp, token: string | undefined) => app.post('/verify-email', { token });
const eventsOf = async (app: TestApp, userId: string) =>
  (
    await app.sql.query<{ type: string; outcome: string; reason: string | null }>(
      'SELECT type, outcome, reason FROM audit_events WHERE user_id = $1 ORDER BY occurred_at',
      [userId],
    )
  ).rows.map(({ type, outcome, reason }) => [type, outcome, ...(reason ? [reason] : [])].join(' '));

describe('where it is optional', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  test('a new account is logged in at once, and gets a link that confirms its address', async () => {
    const { email, user, access_token: token } = await app.register();
    expect(user).toMatchObject({ email_verified: false });
    const letter = await app.nextMail(email);
    expect(letter.link).toBe(`http://localhost:3000/verify-email?token=${letter.token}`);
    const answer = await verify(app, letter.token);
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' });
    expect((await app.get('/me', token)).body).toMatchObject({ email_verified: true });
    expect(await eventsOf(app, user.id)).toEqual(['account.registered success', 'email.verified success']);
  });

  test('the next access token says so', async () => {
    const { email, refresh_token: refreshToken } = await app.register();
    await verify(app, (await app.nextMail(email)).token);
    const { access_token: token } = (await app.refresh(refreshToken)).body;
    const claims = JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ email_verified: true });
  });

  test('resend writes to an account that waits, and to nobody else', async () => {
    const [waiting, verified] = [await app.register(), await app.register()];
    await verify(app, (await app.nextMail(verified.email)).token);
    await app.nextMail(waiting.email);
    const before = (await app.mails()).length;
    for (const email of [waiting.email, verified.email, freshEmail()])
      expect((await app.post('/verify-email/resend', { email })).status).toBe(202);
    expect((await app.mails()).slice(before).map(({ to }) => to)).toEqual([waiting.email]);
    expect((await verify(app, (await app.nextMail(waiting.email)).token)).status).toBe(204);
  });

  test('nobody’s mailbox is flooded: ten letters of a kind an hour, and the last link stays good', async () => {
    const { email } = await app.register();
    for (let asked = 0; asked < 14; asked += 1) {
      await app.post('/verify-email/resend', { email });
      await app.mails();
    }
    expect(await app.mails(email)).toHaveLength(10);
    expect((await verify(app, (await app.nextMail(email)).token)).status).toBe(204);
  });

  test('a taken address is told so', async () => {
    const { email } = await app.register();
    const answer = await app.post('/register', { email, password, display_name: 'Eve' });
    expect(answer.body).toMatchObject({ status: 409, code: 'email_taken' });
  });
});

describe('where it is required', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ EMAIL_VERIFICATION: 'required' });
  });
  afterAll(() => app.close());

  const enrol = (email: string, extra = {}) =>
    app.post('/register', { email, password, display_name: 'Ada Lovelace', ...extra });

  test('a new account has no session until its address is confirmed', async () => {
    const email = freshEmail();
    const answer = await enrol(email);
    expect(answer.status).toBe(202);
    expect(Object.keys(answer.body)).toEqual(['message']);
    expect((await app.login(email)).body).toMatchObject({ status: 403, code: 'email_not_verified' });
    expect((await app.login(email, 'a wrong password')).body).toMatchObject({ status: 401 });
    expect((await verify(app, (await app.nextMail(email)).token)).status).toBe(204);
    expect((await app.login(email)).status).toBe(200);
  });

  test('a registration by cookie sets none', async () => {
    const answer = await enrol(freshEmail(), { transport: 'cookie' });
    expect(answer.status).toBe(202);
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  test('a taken address gets the same answer, and a letter that says so in place of a link to confirm', async () => {
    const email = freshEmail();
    const first = await enrol(email);
    await verify(app, (await app.nextMail(email)).token);
    const again = await enrol(email, { password: 'another of the good mares', display_name: 'Eve' });
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    const letter = await app.nextMail(email);
    expect(letter.link).toContain('/reset-password?token=');
    expect(letter.text).not.toContain('Eve');
    expect((await app.login(email)).status).toBe(200);
    expect((await app.login(email, 'another of the good mares')).status).toBe(401);
  });

  test('whoever registers somebody else’s address first does not keep it from them', async () => {
    const email = freshEmail();
    await enrol(email, { password: 'what the squatter has chosen' });
    const squatted = await app.nextMail(email);
    await enrol(email);
    const { token } = await app.nextMail(email);
    expect((await app.post('/reset-password', { token, new_password: password })).status).toBe(204);
    expect((await verify(app, squatted.token)).status).toBe(400);
    expect((await app.login(email, 'what the squatter has chosen')).status).toBe(401);
    expect((await app.login(email)).status).toBe(200);
  });

  test('of 20 registrations of one address at once one makes the account, and all are answered alike', async () => {
    const email = freshEmail();
    const answers = await Promise.all(Array.from({ length: 20 }, () => enrol(email)));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect((await app.sql.query('SELECT 1 FROM users WHERE email = $1', [email])).rows).toHaveLength(1);
  });

  test('a login that is refused for it does not count as a failure', async () => {
    const strict = await startApp({ EMAIL_VERIFICATION: 'required', LOCKOUT_ATTEMPTS: '2' });
    const email = freshEmail();
    await strict.post('/register', { email, password, display_name: 'Ada' });
    for (let tries = 0; tries < 5; tries += 1) expect((await strict.login(email)).status).toBe(403);
    await verify(strict, (await strict.nextMail(email)).token);
    expect((await strict.login(email)).status).toBe(200);
    await strict.close();
  });
});

test('where it is off no link is mailed at the registration', async () => {
  const app = await startApp({ EMAIL_VERIFICATION: 'off' });
  const { email } = await app.register();
  expect(await app.mails(email)).toEqual([]);
  await app.post('/forgot-password', { email });
  expect((await app.nextMail(email)).link).toContain('/reset-password?token=');
  await app.close();
});

test('links begin with APP_URL, whatever the Host header says', async () => {
  const app = await startApp({ APP_URL: 'https://app.example.com/account/' });
  const email = freshEmail();
  await app.call('post', '/register', {
    body: { email, password, display_name: 'Ada' },
    headers: { host: 'evil.test', 'x-forwarded-host': 'evil.test', origin: 'http://localhost:3000' },
  });
  const letter = await app.nextMail(email);
  expect(letter.link).toMatch(/^https:\/\/app\.example\.com\/account\/verify-email\?token=kto_[\w-]{86}$/);
  expect(JSON.stringify(letter)).not.toContain('evil.test');
  await app.close();
});
