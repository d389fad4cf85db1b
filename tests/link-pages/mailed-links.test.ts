// From an email to its page and through its form, like a browser. Email scanners have opened every link before.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { send } from '../http/wire.ts';
import type { SentEmail } from '../support/mailbox.ts';

const issuer = 'https://auth.example.com';
const newPassword = 'a quieter mare and no battery';

let app: TestApp;
beforeAll(async () => void (app = await startApp({ ISSUER: issuer })));
afterAll(() => app.close());

const headingOf = (page: string) => /<h1>([^<]*)<\/h1>/.exec(page)?.[1];

/** Opens the link of an email `times` times and returns a function that submits its form. */
async function open({ link = '' }: SentEmail, times = 1) {
  const { pathname, search, origin } = new URL(link);
  expect(origin).toBe(issuer);
  let page = await send(app.baseUrl, pathname + search);
  for (let time = 1; time < times; time += 1) page = await send(app.baseUrl, pathname + search);
  expect(page.status).toBe(200);
  const action = /<form method="post" action="([^"]*)"/.exec(page.text)?.[1] ?? '';
  const token = /name="token" value="([^"]*)"/.exec(page.text)?.[1] ?? '';
  return async (fields: Record<string, string> = {}) => {
    const { status, text } = await send(app.baseUrl, new URL(action, link).pathname, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token, ...fields }).toString(),
    });
    return { status, heading: headingOf(text), text };
  };
}

const me = async (token: string) => (await app.get('/me', token)).body as Record<string, unknown>;

test('an address is verified when the form is submitted, not when the link is opened', async () => {
  const { email, access_token: token } = await app.register();
  const submit = await open(await app.nextEmail(email), 5);
  expect(await me(token)).toMatchObject({ email_verified: false });
  expect(await submit()).toMatchObject({ status: 200, heading: 'Your email address is verified' });
  expect(await me(token)).toMatchObject({ email_verified: true });
  expect(await submit()).toMatchObject({ status: 400, heading: 'This link is no longer valid' });
});

test('the form rejects a password that is similar to the name, then sets another one and revokes every session', async () => {
  const { email, access_token: token, refresh_token: refreshToken } = await app.register();
  await app.nextEmail(email);
  await app.post('/forgot-password', { email });
  const submit = await open(await app.nextEmail(email), 5);
  const rejected = await submit({ new_password: 'AdaLovelace1' });
  expect(rejected).toMatchObject({ status: 400, heading: 'Set a new password' });
  expect(rejected.text).toContain('too similar to your name');
  expect((await app.login(email)).status).toBe(200);
  expect(await submit({ new_password: newPassword })).toMatchObject({
    status: 200,
    heading: 'Your password was reset',
  });
  expect((await app.login(email, newPassword)).status).toBe(200);
  expect((await app.login(email)).status).toBe(401);
  expect((await app.refresh(refreshToken)).status).toBe(401);
  expect((await app.get('/me', token)).status).toBe(401);
  expect(await submit({ new_password: password })).toMatchObject({ status: 400 });
});

test('forms confirm and undo an email change, and set a new password for the owner', async () => {
  const { email, user, access_token: token } = await app.register();
  await app.nextEmail(email);
  const next = freshEmail();
  await app.db.users.markVerified(user.id);
  await app.post('/me/email', { new_email: next, current_password: password }, token);
  const confirm = await open(await app.nextEmail(next), 5);
  expect(await me(token)).toMatchObject({ email });
  expect(await confirm()).toMatchObject({ status: 200 });
  expect(await me(token)).toMatchObject({ email: next });

  const undo = await open(await app.nextEmail(email), 5);
  expect(await me(token)).toMatchObject({ email: next });
  expect(await undo()).toMatchObject({ status: 200, heading: 'Your email address was restored' });
  expect((await app.login(next)).status).toBe(401);
  expect((await app.login(email)).status).toBe(401);
  const reset = await open(await app.nextEmail(email));
  expect(await reset({ new_password: newPassword })).toMatchObject({ status: 200 });
  expect((await app.login(email, newPassword)).status).toBe(200);
  expect(await undo()).toMatchObject({ status: 400, heading: 'This link is no longer valid' });
});

test('a link is valid only on its own page', async () => {
  const { email } = await app.register();
  const { token = '' } = await app.nextEmail(email);
  for (const link of ['reset-password', 'undo-email-change']) {
    const submit = await open({ link: `${issuer}/${link}?token=${token}` } as SentEmail);
    expect(await submit({ new_password: newPassword })).toMatchObject({ status: 400 });
  }
  const submit = await open({ link: `${issuer}/verify-email?token=${token}` } as SentEmail);
  expect(await submit()).toMatchObject({ status: 200 });
});

test('with another APP_URL, the service has no link pages', async () => {
  const other = await startApp({ ISSUER: issuer, APP_URL: 'https://app.example.com' });
  const { email } = await other.register();
  const { link, token } = await other.nextEmail(email);
  expect(link).toBe(`https://app.example.com/verify-email?token=${token}`);
  for (const page of ['verify-email', 'reset-password', 'undo-email-change']) {
    expect((await send(other.baseUrl, `/${page}?token=${token}`)).status).toBe(405);
    expect((await send(other.baseUrl, `/${page}/confirm`, { method: 'POST' })).status).toBe(404);
  }
  await other.close();
});
