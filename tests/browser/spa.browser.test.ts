// examples/spa/ with the built keyturn/client, in a real browser over TLS.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { freshEmail, password } from '../harness.ts';
import { startBrowser, watch } from '../support/browser.ts';
import { createDatabase } from '../support/database.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { origins, type Sites, startSites } from './sites.ts';

let database: Awaited<ReturnType<typeof createDatabase>>;
let sql: pg.Pool;
let service: ServiceProcess;
let sites: Sites;
let browser: Browser;
beforeAll(async () => {
  database = await createDatabase();
  sql = new pg.Pool({ connectionString: database.url, max: 1 });
  service = await startService({
    DATABASE_URL: database.url,
    ISSUER: origins.auth,
    CORS_ORIGINS: origins.app,
    TRUST_PROXY: '1',
  });
  await waitUntilReady(service);
  const app = {
    '/config.js': { text: `export const service = '${origins.auth}';`, type: 'text/javascript' },
    '/keyturn-client/': { folder: 'dist/client' },
    '/': { folder: 'examples/spa' },
  };
  sites = await startSites({ serviceUrl: service.baseUrl, app, evil: {} });
  browser = await startBrowser([`--host-resolver-rules=${sites.resolverRules}`, '--ignore-certificate-errors']);
});
afterAll(async () => {
  await browser?.close();
  await sites?.close();
  await service?.stop();
  await sql?.end();
  await database?.drop();
});

let context: BrowserContext;
const contexts: BrowserContext[] = [];
/** A browser context without cookies. */
async function newDevice(viewport = { width: 1280, height: 800 }): Promise<BrowserContext> {
  const device = await browser.newContext({ ignoreHTTPSErrors: true, viewport });
  contexts.push(device);
  return device;
}
beforeEach(async () => {
  context = await newDevice();
});
afterEach(async () => {
  for (const each of contexts.splice(0)) await each.close();
});

async function openApp(device = context): Promise<Page> {
  const page = await device.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(origins.app);
  return page;
}

const shownUser = (page: Page) => page.locator('#user').textContent();
const shownSignedIn = (page: Page) => page.getByRole('button', { name: 'Log out', exact: true }).waitFor();
const shownSignedOut = (page: Page) => page.getByLabel('Email').waitFor();

async function register(page: Page): Promise<string> {
  const email = freshEmail();
  await page.getByLabel('I am new here').check();
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('Your name').fill('Ada Lovelace');
  await page.getByRole('button', { name: 'Sign up' }).click();
  await shownSignedIn(page);
  return email;
}

async function signIn(page: Page, email: string): Promise<void> {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await shownSignedIn(page);
}

const sessionsOf = async (email: string): Promise<{ generation: number; revokedReason: string | null }[]> =>
  (
    await sql.query<{ generation: number; revokedReason: string | null }>(
      `SELECT s.generation, s.revoked_reason AS "revokedReason" FROM sessions AS s JOIN users AS u ON u.id = s.user_id
       WHERE u.email = $1 ORDER BY s.created_at`,
      [email],
    )
  ).rows;

const screenshot = (page: Page, name: string) =>
  page.screenshot({ path: fileURLToPath(new URL(`screenshots/${name}.png`, import.meta.url)) });

test('after sign-up the app shows the user, and scripts cannot read the refresh token', async () => {
  const page = await context.newPage();
  const watched = await watch(page);
  await page.goto(origins.app);
  await shownSignedOut(page);
  await screenshot(page, 'spa-signed-out');
  const email = await register(page);
  expect(await shownUser(page)).toBe(`Ada Lovelace (${email})`);
  await screenshot(page, 'spa-signed-in');
  const storedData = await page.evaluate(
    'JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])',
  );
  expect(storedData).toBe('["",{},{}]');
  const [cookie] = await context.cookies(origins.auth);
  expect(cookie).toMatchObject({ name: '__Host-refresh_token', httpOnly: true, secure: true, sameSite: 'Lax' });
  // The app checks for an existing session at its start, which causes one 401 in the console.
  expect(watched.problems.filter((problem) => !/401|favicon|404/.test(problem))).toEqual([]);
});

test('a reload keeps the user logged in', async () => {
  const page = await openApp();
  const email = await register(page);
  for (let times = 0; times < 3; times += 1) {
    await page.reload();
    await shownSignedIn(page);
    expect(await shownUser(page)).toBe(`Ada Lovelace (${email})`);
  }
});

test('three tabs that refresh concurrently stay logged in', async () => {
  const first = await openApp();
  const email = await register(first);
  const tabs = [first, await openApp(), await openApp()];
  for (let times = 0; times < 5; times += 1) {
    await Promise.all(tabs.map((tab) => tab.reload()));
    await Promise.all(tabs.map(shownSignedIn));
  }
  const [session, ...others] = await sessionsOf(email);
  expect(others).toEqual([]);
  expect(session).toMatchObject({ revokedReason: null });
  expect(session?.generation).toBeGreaterThanOrEqual(5);
});

test('a logout in one tab logs out all tabs and revokes the session', async () => {
  const first = await openApp();
  const email = await register(first);
  const second = await openApp();
  await shownSignedIn(second);
  await first.getByRole('button', { name: 'Log out', exact: true }).click();
  await shownSignedOut(first);
  await shownSignedOut(second);
  await expect(untilRevoked(email)).resolves.toBe('logout');
  await second.reload();
  await shownSignedOut(second);
  expect(await context.cookies(origins.auth)).toEqual([]);
});

async function untilRevoked(email: string): Promise<string | null> {
  for (let tries = 0; tries < 100; tries += 1) {
    const [session] = await sessionsOf(email);
    if (session?.revokedReason) return session.revokedReason;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return null;
}

test('a logout everywhere logs out another device at its next reload', async () => {
  const laptop = await openApp();
  const email = await register(laptop);
  const phone = await openApp(await newDevice({ width: 360, height: 740 }));
  await signIn(phone, email);
  await screenshot(phone, 'spa-phone');
  await laptop.getByRole('button', { name: 'Log out everywhere' }).click();
  await shownSignedOut(laptop);
  await phone.reload();
  await shownSignedOut(phone);
  expect(await phone.locator('#message').textContent()).toBe(
    'Your session was ended on another device or by an administrator.',
  );
  expect((await sessionsOf(email)).map(({ revokedReason }) => revokedReason)).toEqual(['logout_all', 'logout_all']);
});

test('a wrong password shows an error and creates no session', async () => {
  const page = await openApp();
  const email = await register(page);
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill('not it');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('The email address or the password is incorrect.').waitFor();
  expect(await context.cookies(origins.auth)).toEqual([]);
});

const problem = (page: Page) => page.locator('#problem');

test('while the service is down the app says so, and "Try again" continues when it is back', async () => {
  await register(await openApp());
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.route(`${origins.auth}/**`, (route) => route.abort('connectionrefused'));
  await page.goto(origins.app);
  await problem(page).getByText('The service does not respond').waitFor();
  await problem(page).getByText(origins.auth).waitFor();
  expect(await page.locator('#message').textContent()).toBe('');
  await screenshot(page, 'spa-service-down');
  await page.unroute(`${origins.auth}/**`);
  await page.getByRole('button', { name: 'Try again' }).click();
  await shownSignedIn(page);
  expect(await problem(page).isVisible()).toBe(false);
});

test('a login during an outage keeps the form, and "Try again" repeats the login', async () => {
  const page = await openApp();
  const email = await register(page);
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.route(`${origins.auth}/**`, (route) => route.abort('connectionrefused'));
  await page.getByRole('button', { name: 'Log in' }).click();
  await problem(page).getByText('The service does not respond').waitFor();
  expect(await page.getByLabel('Email').inputValue()).toBe(email);
  await page.unroute(`${origins.auth}/**`);
  await page.getByRole('button', { name: 'Try again' }).click();
  await shownSignedIn(page);
});

test('if something else answers at the address, the app says so', async () => {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const headers = { 'access-control-allow-origin': origins.app, 'access-control-allow-credentials': 'true' };
  await page.route(`${origins.auth}/**`, (route) =>
    route.fulfill({ headers, contentType: 'text/html', body: '<h1>It works!</h1>' }),
  );
  await page.goto(origins.app);
  await problem(page).getByText('This is not a Keyturn service').waitFor();
  await screenshot(page, 'spa-other-service');
  expect(await problem(page).locator('p').textContent()).toContain(origins.auth);
});

describe('served by its command', () => {
  const serve = async (...args: string[]) => {
    const server = spawn(process.execPath, ['examples/spa/serve.js', ...args], {
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [output] = (await Promise.race([once(server.stdout, 'data'), once(server.stderr, 'data')])) as [Buffer];
    return { server, output: String(output), origin: /Open (\S+?)\. /.exec(String(output))?.[1] ?? '' };
  };

  test('the app names its origin and CORS_ORIGINS if the service does not allow it', async () => {
    const { server, origin } = await serve(service.baseUrl);
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(15_000);
      await page.goto(origin);
      await problem(page).getByText('The service does not allow this page').waitFor();
      await problem(page).getByText(`Add ${origin} to CORS_ORIGINS`).waitFor();
      expect(await page.locator('#message').textContent()).toBe('');
      await screenshot(page, 'spa-cors-refused');
      const paths = ['/serve.js', '/README.md', '/keyturn-client/..%2fmain.js', '/../../package.json'];
      for (const path of paths) expect((await fetch(`${origin}${path}`)).status).toBe(404);
    } finally {
      server.kill();
      await once(server, 'exit');
    }
  });

  test('an address that is not a URL is rejected with a sentence', async () => {
    const { server, output } = await serve('localhost');
    if (server.exitCode === null) await once(server, 'exit');
    expect([server.exitCode, output]).toEqual([1, expect.stringContaining('Not a URL: localhost.')]);
  });
});
