// Links in emails, their pages and forms, on a phone without JavaScript.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { freshEmail, password, startApp, type TestApp } from '../harness.ts';
import { startBrowser, watch, type Watched } from '../support/browser.ts';
import { freePort } from '../support/free-port.ts';
import type { SentEmail } from '../support/mailbox.ts';

const newPassword = 'a quieter mare and no battery';

let browser: Browser;
let app: TestApp;
beforeAll(async () => {
  browser = await startBrowser();
  const port = await freePort();
  app = await startApp({ ISSUER: `http://localhost:${port}` }, { port });
});
afterAll(async () => {
  await browser?.close();
  await app?.close();
});

let context: BrowserContext;
let page: Page;
let watched: Watched;
beforeEach(async () => {
  const viewport = { width: 360, height: 740 };
  context = await browser.newContext({ viewport, isMobile: true, hasTouch: true, javaScriptEnabled: false });
  page = await context.newPage();
  page.setDefaultTimeout(60_000); // rendering can be slow on a busy machine
  watched = await watch(page);
});
afterEach(() => context.close());

const requestedOrigins = () => [...new Set(watched.requests.map((url) => new URL(url).origin))];

const open = ({ link = '' }: SentEmail) => page.goto(link);
const heading = () => page.locator('h1').innerText();
async function press(name: string): Promise<void> {
  const answered = page.waitForEvent('load');
  await page.getByRole('button', { name }).click();
  await answered;
}
async function setPassword(text: string): Promise<void> {
  await page.getByLabel('New password').fill(text);
  await press('Set password');
}

test('a user verifies an email address with the link once', async () => {
  const { email, access_token: token } = await app.register();
  const message = await app.nextEmail(email);
  await open(message);
  await press('Verify email address');
  expect(await heading()).toBe('Your email address is verified');
  expect((await app.get('/me', token)).body).toMatchObject({ email_verified: true });
  await open(message);
  await press('Verify email address');
  expect(await heading()).toBe('This link is no longer valid');
  expect(requestedOrigins()).toEqual([app.config.baseUrl]);
});

test('a user resets a forgotten password', async () => {
  const { email } = await app.register();
  await app.nextEmail(email);
  await app.post('/forgot-password', { email });
  await open(await app.nextEmail(email));
  await setPassword('AdaLovelace1');
  expect(await page.getByRole('alert').innerText()).toMatch(/too similar to your name/);
  await setPassword(newPassword);
  expect(await heading()).toBe('Your password was reset');
  expect((await app.login(email, newPassword)).status).toBe(200);
  expect(requestedOrigins()).toEqual([app.config.baseUrl]);
});

test('a user undoes a change of the email address by someone else', async () => {
  const { email, user, access_token: token } = await app.register();
  await app.nextEmail(email);
  const next = freshEmail();
  await app.db.users.markVerified(user.id);
  await app.post('/me/email', { new_email: next, current_password: password }, token);
  await open(await app.nextEmail(next));
  await press('Verify email address');
  expect((await app.login(next)).status).toBe(200);
  await open(await app.nextEmail(email));
  await press('Undo the change');
  expect(await heading()).toBe('Your email address was restored');
  expect((await app.login(next)).status).toBe(401);
  await open(await app.nextEmail(email));
  await setPassword(newPassword);
  expect((await app.login(email, newPassword)).status).toBe(200);
  expect(requestedOrigins()).toEqual([app.config.baseUrl]);
});
