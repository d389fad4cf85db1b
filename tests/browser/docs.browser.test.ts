// The API documentation of the built service, whose issuer has another host than the URL in the browser.
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { freshEmail, password } from '../harness.ts';
import { startBrowser, watch, type Watched } from '../support/browser.ts';
import { createDatabase } from '../support/database.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';

let database: Awaited<ReturnType<typeof createDatabase>>;
let service: ServiceProcess;
let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
  database = await createDatabase();
  service = await startService({ DATABASE_URL: database.url });
  await waitUntilReady(service);
});
afterAll(async () => {
  await browser?.close();
  await service?.stop();
  await database?.drop();
});

let context: BrowserContext | undefined;
let page: Page;
let watched: Watched;
afterEach(() => context?.close());

async function newPage(options: BrowserContextOptions = {}): Promise<void> {
  context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  page = await context.newPage();
  page.setDefaultTimeout(60_000); // rendering can be slow on a busy machine
  watched = await watch(page);
}

const shown = () => page.getByRole('heading', { name: 'Keyturn' }).waitFor();

async function open(path = '/docs'): Promise<void> {
  await page.goto(`${service.baseUrl}${path}`);
  await shown();
}

/** Screenshots are for people. No test compares them. */
const pathOf = (name: string) => fileURLToPath(new URL(`screenshots/${name}.png`, import.meta.url));
const screenshot = (name: string) => page.screenshot({ path: pathOf(name) });

interface Answer {
  status: number;
  body: Record<string, string>;
}

const operation = (id: string): Locator => page.locator(`[id$="-${id}"].opblock`);

async function unfold(id: string): Promise<void> {
  const block = operation(id);
  if (await block.locator('.opblock-body').isHidden()) await block.locator('.opblock-summary-control').click();
  await block.locator('.responses-inner').waitFor();
}

/** Opens an operation, enters its body, clicks Execute and reads the response from the page. */
async function tryOut(id: string, body?: object): Promise<Answer> {
  const block = operation(id);
  await unfold(id);
  if (body) await block.locator('textarea.body-param__text').fill(JSON.stringify(body));
  await block.getByRole('button', { name: 'Execute' }).click();
  const response = block.locator('.live-responses-table');
  await response.waitFor();
  return {
    status: Number(await response.locator('tbody .response-col_status').first().innerText()),
    body: JSON.parse(await response.locator('.highlight-code code').first().innerText()) as Answer['body'],
  };
}

async function authorize(token: string, whenFilled?: () => Promise<unknown>): Promise<void> {
  await page.getByRole('button', { name: 'Authorize' }).first().click();
  const dialog = page.locator('.dialog-ux');
  await dialog.getByLabel('auth-bearer-value').fill(token);
  await whenFilled?.();
  const form = dialog.locator('form').filter({ hasText: 'bearer (http' });
  await form.getByRole('button', { name: 'Apply credentials' }).click();
  await form.getByRole('button', { name: 'Close' }).click();
}

const storedData = () => page.evaluate<string>('JSON.stringify([localStorage, sessionStorage, document.cookie])');

test('the page shows every operation, requests only its own origin and complies with its CSP', async () => {
  await newPage();
  await open();
  expect(await page.title()).toBe('Keyturn API reference');
  const { paths } = (await service.get('/openapi.json')).body as { paths: Record<string, object> };
  const operations = Object.values(paths).flatMap((methods) => Object.keys(methods));
  expect(await page.locator('.opblock').count()).toBe(operations.length);
  await screenshot('desktop');
  expect(new Set(watched.requests.map((url) => new URL(url).origin))).toEqual(new Set([service.baseUrl]));
  expect(watched.requests.length).toBeGreaterThan(5);
  expect(watched.problems).toEqual([]);
});

test('"Try it out" signs up, logs in and reads the account at the host of the page', async () => {
  await newPage();
  await open();
  const email = freshEmail();
  const registered = await tryOut('register', { email, password, display_name: 'Ada Lovelace' });
  expect(registered).toMatchObject({ status: 201, body: { user: { email } } });
  const refused = await tryOut('getMe').catch(String);
  const { status, body } = await tryOut('login', { email, password });
  expect(status).toBe(200);
  await authorize(body['access_token'] ?? '');
  expect(refused).toMatchObject({ status: 401, body: { code: 'invalid_access_token' } });
  await operation('getMe').getByRole('button', { name: 'Clear' }).click();
  expect(await tryOut('getMe')).toMatchObject({ status: 200, body: { email } });
  await operation('getMe').screenshot({ path: pathOf('desktop-tried') });
  expect(new Set(watched.requests.map((url) => new URL(url).origin))).toEqual(new Set([service.baseUrl]));
  // The browser logs the expected 401.
  expect(watched.problems).toEqual([expect.stringContaining('status of 401')]);
});

test('with PASSWORD_GRANT=on the page logs in with a form and stores nothing', async () => {
  const fresh = await createDatabase();
  const own = await startService({ DATABASE_URL: fresh.url, PASSWORD_GRANT: 'on' });
  await waitUntilReady(own);
  const { email } = await own.register();
  await newPage();
  await page.goto(`${own.baseUrl}/docs`);
  await shown();
  await page.getByRole('button', { name: 'Authorize' }).first().click();
  const dialog = page.locator('.dialog-ux');
  const headings = await dialog.locator('.auth-container h4').allInnerTexts();
  expect(headings.map((heading) => heading.split(/\s/)[0])).toEqual([
    'oauth2',
    'bearer',
    'apiKey',
    'clientBasic',
    'csrfToken',
  ]);
  expect(await page.evaluate('document.activeElement.id')).toBe('oauth_username');
  expect(await page.evaluate("document.querySelector('.modal-ux-content').scrollTop")).toBe(0);
  await page.screenshot({ path: pathOf('desktop-authorize-opened') });
  const form = page.locator('.dialog-ux .auth-container').filter({ hasText: 'OAuth2, password' });
  await form.locator('#oauth_username').fill(email);
  await form.locator('#oauth_password').fill(password);
  expect(await form.locator('#client_id_password').inputValue()).toBe('first-party');
  // An email address and a password are enough: the scopes of the service's users are already selected.
  await page.screenshot({ path: pathOf('desktop-authorize') });
  await form.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click();
  await form.getByRole('button', { name: 'Remove authorization' }).waitFor();
  await form.getByRole('button', { name: 'Close' }).click();
  expect(await tryOut('getMe')).toMatchObject({ status: 200, body: { email } });
  expect(watched.requests).toContain(`${own.baseUrl}/token`);
  expect(new Set(watched.requests.map((url) => new URL(url).origin))).toEqual(new Set([own.baseUrl]));
  expect(watched.problems).toEqual([]);
  expect(await storedData()).toBe('[{},{},""]');
  await own.stop();
  await fresh.drop();
});

test('a reload forgets the access token', async () => {
  await newPage();
  await open();
  const { access_token: token } = await service.register();
  await authorize(token);
  expect(await tryOut('getMe')).toMatchObject({ status: 200 });
  expect(await storedData()).toBe('[{},{},""]');
  await page.reload();
  await shown();
  expect(await tryOut('getMe')).toMatchObject({ status: 401 });
});

test('the page works behind a proxy that strips a path', async () => {
  await newPage();
  const { baseUrl } = service;
  await page.route(`${baseUrl}/**`, (route, request) => {
    const { pathname } = new URL(request.url());
    if (!pathname.startsWith('/tenant/')) return route.abort();
    return route.continue({ url: `${baseUrl}${pathname.slice('/tenant'.length)}` });
  });
  await open('/tenant/docs?from=somewhere#/Operations/getHealth');
  expect(await operation('getHealth').locator('.opblock-body').isVisible()).toBe(true);
  expect(await tryOut('getHealth')).toEqual({ status: 200, body: { status: 'ok' } });
  expect(watched.requests.at(-1)).toBe(`${baseUrl}/tenant/healthz`);
  expect(watched.problems).toEqual([]);
});

test('a link to the page cannot load another document', async () => {
  await newPage();
  const evilUrl = `${service.baseUrl}/evil.json`;
  const evil = { openapi: '3.1.0', info: { title: 'Evil', version: '1' }, paths: {}, url: evilUrl };
  await page.route(evilUrl, (route) => route.fulfill({ json: evil }));
  const names = ['url', 'configUrl', 'config', 'spec', 'urls.primaryName', 'oauth2RedirectUrl', 'validatorUrl'];
  for (const name of names) {
    const value = name === 'spec' ? JSON.stringify(evil) : evilUrl;
    await open(`/docs?${name}=${encodeURIComponent(value)}`);
    await page.waitForLoadState('networkidle');
    expect([name, await page.getByRole('heading', { name: 'Evil' }).count()]).toEqual([name, 0]);
  }
  expect(watched.requests.filter((url) => url === evilUrl)).toEqual([]);
  expect(watched.problems).toEqual([]);
});

const refusedByPolicy: [title: string, directive: string, code: string][] = [
  ['a call to another host', 'connect-src', "fetch('https://elsewhere.example').catch(() => {})"],
  ['a picture from another host', 'img-src', "new Image().src = 'https://elsewhere.example/a.png'"],
  ['an inline script', 'script-src-elem', "add('script', { text: '1' })"],
  ['a script from another host', 'script-src-elem', "add('script', { src: 'https://elsewhere.example/a.js' })"],
  ['code in a string', 'script-src', "setTimeout('1')"],
  ['an inline style sheet', 'style-src-elem', "add('style', { textContent: 'p {}' })"],
  ['a style attribute', 'style-src-attr', "document.body.setAttribute('style', 'color: red')"],
  ['a frame', 'frame-src', "add('iframe', { src: '/docs' })"],
  ['a base', 'base-uri', "add('base', { href: 'https://elsewhere.example' })"],
  ['a form', 'form-action', "add('form', { action: '/login' }).submit()"],
];

test('the CSP blocks unnecessary resources, and the test detects violations', async () => {
  await newPage();
  await open();
  const add = `const add = (name, members) => {
    const element = Object.assign(document.createElement(name), members);
    document.body.append(element);
    return element;
  }`;
  for (const [title, directive, code] of refusedByPolicy) {
    watched.problems.length = 0;
    await page.evaluate(`{ ${add}; ${code}; 0 }`);
    const violation = expect.stringContaining(`securitypolicyviolation ${directive} `);
    await eventually(() => expect([title, watched.problems]).toEqual([title, expect.arrayContaining([violation])]));
  }
});

/** Retries for two seconds. */
async function eventually(assertion: () => void): Promise<void> {
  for (let tries = 0; tries < 40; tries += 1) {
    try {
      return assertion();
    } catch {
      await page.waitForTimeout(50);
    }
  }
  assertion();
}

const phone: BrowserContextOptions = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

test('the page does not scroll horizontally on a phone', async () => {
  await newPage(phone);
  await open();
  await screenshot('phone');
  const { access_token: token, session_id: id } = await service.register();
  await authorize(token, () => screenshot('phone-authorize'));
  await tryOut('register', { email: freshEmail(), password, display_name: 'Ada Lovelace' });
  await operation('register').screenshot({ path: pathOf('phone-tried') });
  await unfold('endSession');
  await operation('endSession').getByPlaceholder('id').fill(id);
  for (const name of ['register', 'endSession'])
    for (const schema of await operation(name).getByRole('tab', { name: 'Schema' }).all()) await schema.click();
  expect(await operation('endSession').locator('.model-box').count()).toBeGreaterThan(1);
  expect(await page.evaluate('[document.documentElement.scrollWidth, innerWidth]')).toEqual([360, 360]);
  expect(watched.problems).toEqual([]);
});

test.each([
  ['light', 'rgb(255, 255, 255)'],
  ['dark', 'rgb(28, 32, 34)'],
] as const)('the page is %s if the user prefers that', async (colorScheme, background) => {
  await newPage({ ...phone, colorScheme });
  await open();
  await unfold('getMe');
  await operation('getMe').screenshot({ path: pathOf(`phone-${colorScheme}`) });
  expect(await page.evaluate('getComputedStyle(document.documentElement).backgroundColor')).toBe(background);
  expect(watched.problems).toEqual([]);
});
