// The refresh token cookie in a real browser over TLS: pages of the app can use it, and pages of other sites cannot.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { freshEmail, password } from '../harness.ts';
import { startBrowser } from '../support/browser.ts';
import { createDatabase } from '../support/database.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { origins, type Sites, startSites } from './sites.ts';

const blank = { text: '<!doctype html><title>a page</title>', type: 'text/html' };

let database: Awaited<ReturnType<typeof createDatabase>>;
let service: ServiceProcess;
let sites: Sites;
let browser: Browser;
beforeAll(async () => {
  database = await createDatabase();
  service = await startService({
    DATABASE_URL: database.url,
    ISSUER: origins.auth,
    CORS_ORIGINS: origins.app,
    TRUST_PROXY: '1',
  });
  await waitUntilReady(service);
  sites = await startSites({ serviceUrl: service.baseUrl, app: { '/': blank }, evil: { '/': blank } });
  browser = await startBrowser([`--host-resolver-rules=${sites.resolverRules}`, '--ignore-certificate-errors']);
});
afterAll(async () => {
  await browser?.close();
  await sites?.close();
  await service?.stop();
  await database?.drop();
});

let context: BrowserContext;
let app: Page;
let evil: Page;
beforeEach(async () => {
  context = await browser.newContext({ ignoreHTTPSErrors: true });
  [app, evil] = [await context.newPage(), await context.newPage()];
  await app.goto(origins.app);
  await evil.goto(origins.evil);
});
afterEach(() => context.close());

interface PageResponse {
  status: number;
  body: Record<string, unknown>;
}

/** Sends a request from a script of a page. With CORS, an unreadable response is a network error. */
function fetchIn(page: Page, path: string, init: object = {}): Promise<PageResponse | 'unreadable'> {
  return page.evaluate(
    async ([url, options]) => {
      try {
        const response = await fetch(url, { credentials: 'include', ...options });
        const text = await response.text();
        return { status: response.status, body: (text ? JSON.parse(text) : {}) as Record<string, unknown> };
      } catch {
        return 'unreadable' as const;
      }
    },
    [`${origins.auth}${path}`, init] as const,
  );
}

const json = (body: object, headers: object = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** A response to a no-cors request. */
const opaque: PageResponse = { status: 0, body: {} };

const readable = (response: PageResponse | 'unreadable'): PageResponse => {
  if (response === 'unreadable') throw new Error('the page could not read the response');
  return response;
};

async function signIn(): Promise<{ email: string; csrfToken: string }> {
  const email = freshEmail();
  const { status, body } = readable(
    await fetchIn(app, '/register', json({ email, password, display_name: 'Ada', transport: 'cookie' })),
  );
  expect([status, body]).toEqual([201, expect.not.objectContaining({ refresh_token: expect.anything() })]);
  return { email, csrfToken: String(body['csrf_token']) };
}

const refresh = (page: Page, csrfToken: string) =>
  fetchIn(page, '/refresh', { method: 'POST', headers: { 'x-csrf-token': csrfToken } });

const cookiesOfService = () => context.cookies(origins.auth);

test('the browser stores a __Host- cookie that is HttpOnly, Secure and SameSite=Lax, for one host', async () => {
  await signIn();
  const [cookie, ...others] = await cookiesOfService();
  expect(others).toEqual([]);
  expect(cookie).toMatchObject({
    name: '__Host-refresh_token',
    value: expect.stringMatching(/^ktr_[\w-]{91}$/),
    domain: 'auth.example.test',
    path: '/',
    httpOnly: true,
    secure: true,
    sameSite: 'Lax',
  });
  const daysLeft = ((cookie?.expires ?? 0) - Date.now() / 1000) / 86_400;
  expect(daysLeft).toBeGreaterThan(29);
  expect(daysLeft).toBeLessThan(30.1);
  expect(await context.cookies(origins.app)).toEqual([]);
});

test('scripts of the app and of the service cannot read the refresh token', async () => {
  await signIn();
  expect(await app.evaluate('document.cookie')).toBe('');
  const own = await context.newPage();
  await own.goto(`${origins.auth}/healthz`);
  expect(await own.evaluate('document.cookie')).toBe('');
});

test('a page of the app refreshes, gets its CSRF token after a reload and logs out', async () => {
  const { csrfToken } = await signIn();
  const [before] = await cookiesOfService();
  expect(readable(await refresh(app, csrfToken))).toMatchObject({ status: 200, body: { csrf_token: csrfToken } });
  const [after] = await cookiesOfService();
  expect(after?.value).not.toBe(before?.value);

  await app.reload();
  expect(readable(await fetchIn(app, '/csrf'))).toEqual({ status: 200, body: { csrf_token: csrfToken } });
  const logout = { method: 'POST', headers: { 'x-csrf-token': csrfToken } };
  expect(readable(await fetchIn(app, '/logout', logout)).status).toBe(204);
  expect(await cookiesOfService()).toEqual([]);
  expect(readable(await refresh(app, csrfToken))).toMatchObject({
    status: 401,
    body: { code: 'invalid_refresh_token' },
  });
});

test('a page of the app can read the headers of an error response', async () => {
  const headers = await app.evaluate(async (url) => {
    const { headers: all } = await fetch(`${url}/me`);
    return ['www-authenticate', 'ratelimit', 'ratelimit-policy', 'x-request-id'].map((name) => all.get(name));
  }, origins.auth);
  expect(headers).not.toContain(null);
});

describe('a page of another site', () => {
  /** The cookie after an attack, and the status of a refresh by the app. */
  async function stateAfter(csrfToken: string): Promise<{ token: string | undefined; status: number }> {
    const [cookie] = await cookiesOfService();
    return { token: cookie?.value, status: readable(await refresh(app, csrfToken)).status };
  }

  test('cannot read the CSRF token or any other response', async () => {
    const { csrfToken } = await signIn();
    const [cookie] = await cookiesOfService();
    expect(await fetchIn(evil, '/csrf')).toBe('unreadable');
    expect(await fetchIn(evil, '/me')).toBe('unreadable');
    expect(await fetchIn(evil, '/sessions')).toBe('unreadable');
    expect(await stateAfter(csrfToken)).toEqual({ token: cookie?.value, status: 200 });
  });

  test('cannot refresh or log out the user, even with the CSRF token', async () => {
    const { csrfToken } = await signIn();
    const [cookie] = await cookiesOfService();
    const headers = { 'x-csrf-token': csrfToken };
    for (const path of ['/refresh', '/logout'])
      for (const init of [
        { headers },
        { mode: 'no-cors' },
        { mode: 'no-cors', headers },
        { body: '{}', mode: 'no-cors' },
      ])
        await fetchIn(evil, path, { method: 'POST', ...init });
    expect(await stateAfter(csrfToken)).toEqual({ token: cookie?.value, status: 200 });
  });

  test('cannot do anything with forms, whose requests can carry SameSite=Lax cookies', async () => {
    const { csrfToken } = await signIn();
    const [cookie] = await cookiesOfService();
    for (const path of ['/logout', '/refresh', '/logout/all'])
      for (const enctype of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data']) {
        await evil.goto(origins.evil);
        await evil.evaluate(
          ([action, type]) => {
            const page = globalThis as unknown as {
              document: { body: { innerHTML: string }; forms: { submit(): void }[] };
            };
            page.document.body.innerHTML = `<form method="post" action="${action}" enctype="${type}"><input name='{"x":"' value='"}'></form>`;
            page.document.forms[0]?.submit();
          },
          [`${origins.auth}${path}`, enctype] as const,
        );
        await evil.waitForURL(`${origins.auth}/**`);
      }
    expect(await stateAfter(csrfToken)).toEqual({ token: cookie?.value, status: 200 });
  });

  test('cannot log in the user to another account, with or without a session', async () => {
    const mallory = freshEmail();
    await service.call('post', '/register', { body: { email: mallory, password, display_name: 'Mallory' } });
    const body = JSON.stringify({ email: mallory, password, transport: 'cookie' });
    const attempts = [
      json({ email: mallory, password, transport: 'cookie' }),
      { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body },
      { method: 'POST', mode: 'no-cors', body },
    ];
    for (const attempt of attempts)
      expect(['unreadable', opaque]).toContainEqual(await fetchIn(evil, '/login', attempt));
    expect(await cookiesOfService()).toEqual([]);

    const { csrfToken } = await signIn();
    const [cookie] = await cookiesOfService();
    for (const attempt of attempts) await fetchIn(evil, '/login', attempt);
    expect(await stateAfter(csrfToken)).toEqual({ token: cookie?.value, status: 200 });
  });

  test('cannot show the service in a frame', async () => {
    const framed = await evil.evaluate(async (url) => {
      const { document } = globalThis as unknown as {
        document: {
          createElement(name: string): { src: string; onload: () => void; contentDocument: unknown };
          body: { append(element: unknown): void };
        };
      };
      const frame = document.createElement('iframe');
      frame.src = `${url}/docs`;
      await new Promise<void>((resolve) => {
        frame.onload = resolve;
        document.body.append(frame);
      });
      return true;
    }, origins.auth);
    expect(framed).toBe(true);
    const frame = evil.frames().find((each) => each !== evil.mainFrame());
    expect(await frame?.locator('text=Keyturn').count()).toBe(0);
  });
});
