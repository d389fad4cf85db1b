// Cookie transport. A cookie jar takes the place of the browser.
import { describe, expect, test } from '@jest/globals';
import { type Client, createClient, type ClientOptions } from '../../src/client/index.ts';
import { freshEmail, password } from '../harness.ts';
import type { Fault } from '../support/faulty-proxy.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { passTime } from '../support/session-rows.ts';
import { displayName, errorOf, flushCallbacks, recordEvents, useBackend } from './support.ts';

const origin = 'https://app.example.com';

const backend = useBackend({ CORS_ORIGINS: origin });

/** The cookies that all tabs of a browser share. Like a browser, uses them only for requests with credentials. */
interface CookieJar {
  cookie: string | undefined;
  fetch: typeof fetch;
}

function makeCookieJar(): CookieJar {
  const jar: CookieJar = {
    cookie: undefined,
    async fetch(input, init = {}) {
      const headers = new Headers(init.headers);
      headers.set('origin', origin);
      headers.set('sec-fetch-site', 'same-site');
      if (init.credentials === 'include' && jar.cookie) headers.set('cookie', jar.cookie);
      const response = await fetch(input, { ...init, headers });
      const [pair = ''] = (response.headers.get('set-cookie') ?? '').split(';');
      if (init.credentials === 'include' && pair !== '') jar.cookie = pair.endsWith('=') ? undefined : pair;
      return response;
    },
  };
  return jar;
}

interface Tab {
  client: Client;
  jar: CookieJar;
  events: string[];
}

function openTab(jar = makeCookieJar(), options: Partial<Omit<ClientOptions, 'transport' | 'storage'>> = {}): Tab {
  const { events, ...callbacks } = recordEvents();
  const client = createClient({
    baseUrl: backend.proxy.baseUrl,
    transport: 'cookie',
    timeoutMs: 5000,
    fetch: jar.fetch,
    ...callbacks,
    ...options,
  });
  return { client, jar, events };
}

async function signUp(jar?: CookieJar): Promise<Tab & { email: string; sessionId: string }> {
  const tab = openTab(jar);
  const email = freshEmail();
  await tab.client.register({ email, password, display_name: displayName });
  return { ...tab, email, sessionId: tab.client.session?.sessionId ?? '' };
}

const tokenIn = ({ cookie = '' }: CookieJar): string => cookie.slice(cookie.indexOf('ktr_'));

test('a session survives a reload, and no request body contains the refresh token', async () => {
  const { jar, sessionId } = await signUp();
  expect(tokenIn(jar)).toMatch(/^ktr_/);
  const reloaded = openTab(jar);
  expect(await reloaded.client.resume()).toMatchObject({ sessionId });
  expect((await reloaded.client.fetch('/me')).status).toBe(200);
  expect(backend.proxy.requests.map(({ path }) => path)).toEqual(['/register', '/csrf', '/refresh', '/me']);
  expect(backend.requestsTo('/refresh').map(({ body }) => body)).toEqual(['']);
  expect(generationOf(tokenIn(jar))).toBe(1);
});

test('resume returns null without an event if the browser has no cookie', async () => {
  const { client, events } = openTab();
  expect(await client.resume()).toBeNull();
  expect(events).toEqual([]);
  expect(backend.proxy.requests.map(({ path }) => path)).toEqual(['/csrf']);
});

test.each<[string, Fault]>([
  ['a lost response', 'loseResponse'],
  ['a truncated response', 'cutResponse'],
  ['a duplicated request', 'duplicate'],
  ['a 403 of a proxy', { status: 403, body: 'blocked' }],
  ['a 503', { status: 503, headers: { 'retry-after': '0' }, forwards: true }],
])('the session survives %s', async (_, fault) => {
  const { jar, sessionId } = await signUp();
  backend.failNext('/refresh', fault);
  const { client, events } = openTab(jar);
  expect(await client.resume()).toMatchObject({ sessionId });
  expect(backend.requestsTo('/refresh')).toHaveLength(fault === 'duplicate' ? 1 : 2);
  await flushCallbacks();
  expect(events).toEqual([sessionId]);
  expect(await backend.revokedReason(sessionId)).toBeNull();
});

test('GET /csrf without a token is not from the service', async () => {
  const { jar, sessionId } = await signUp();
  backend.failNext('/csrf', { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' });
  expect(await openTab(jar).client.resume()).toMatchObject({ sessionId });
  expect(backend.requestsTo('/refresh').map(({ headers }) => headers['x-csrf-token'])).not.toContain('undefined');
});

test('retries GET /csrf after a lost response', async () => {
  const { jar, sessionId } = await signUp();
  backend.failNext('/csrf', 'loseResponse', 'portal');
  expect(await openTab(jar).client.resume()).toMatchObject({ sessionId });
});

test('ten tabs without locks refresh concurrently and stay signed in', async () => {
  const { jar, sessionId } = await signUp();
  const tabs = Array.from({ length: 10 }, () => openTab(jar));
  for (const session of await Promise.all(tabs.map(({ client }) => client.resume())))
    expect(session).toMatchObject({ sessionId });
  expect(await openTab(jar).client.resume()).toMatchObject({ sessionId });
});

test('after a login in another tab, the client continues as the new user and tells the app', async () => {
  const first = await signUp();
  const reloaded = openTab(first.jar);
  await reloaded.client.resume();
  const second = await signUp(first.jar);
  expect(await backend.revokedReason(first.sessionId)).not.toBeNull();
  const me = await reloaded.client.fetch('/me');
  expect(await me.json()).toMatchObject({ email: second.email });
  await flushCallbacks();
  expect(reloaded.events).toEqual([first.sessionId, second.sessionId]);
});

describe('logout', () => {
  test('revokes the session and deletes the cookie', async () => {
    const { client, jar, sessionId, events } = await signUp();
    await client.logout();
    expect(jar.cookie).toBeUndefined();
    expect(await backend.revokedReason(sessionId)).not.toBeNull();
    expect(events).toEqual([sessionId, 'logged_out']);
    expect(await openTab(jar).client.resume()).toBeNull();
  });

  test('works as the first call after a reload', async () => {
    const { jar, sessionId } = await signUp();
    await openTab(jar).client.logout();
    expect(jar.cookie).toBeUndefined();
    expect(await backend.revokedReason(sessionId)).not.toBeNull();
  });

  test('succeeds if no user is signed in', async () => {
    await expect(openTab().client.logout()).resolves.toBeUndefined();
  });

  test('logoutAll revokes the sessions of other browsers and deletes the cookie', async () => {
    const { client, jar, email, sessionId } = await signUp();
    const other = openTab();
    const { sessionId: second } = await other.client.login({ email, password });
    await client.logoutAll();
    expect(jar.cookie).toBeUndefined();
    for (const id of [sessionId, second]) expect(await backend.revokedReason(id)).not.toBeNull();
    expect(await errorOf(other.client.fetch('/me'))).toMatchObject({ code: 'signed_out', reason: 'revoked' });
  });

  test('without a network signs out in this page and rejects, because a reload restores the session', async () => {
    const { jar, sessionId } = await signUp();
    const { client } = openTab(jar, { retryTimeoutMs: 300 });
    await client.resume();
    backend.failAll('loseRequest');
    expect(await errorOf(client.logout())).toMatchObject({ code: 'network' });
    backend.recover();
    expect(await errorOf(client.accessToken())).toMatchObject({ code: 'signed_out' });
    const reloaded = openTab(jar);
    expect(await reloaded.client.resume()).toMatchObject({ sessionId });
    await reloaded.client.logout();
    expect(await openTab(jar).client.resume()).toBeNull();
  });

  test('a logout that is being retried does not revoke the session of a later login', async () => {
    const { client, jar, email } = await signUp();
    backend.failNext('/logout', 'loseRequest', 'loseRequest');
    const logout = client.logout();
    await backend.untilRequested('/logout');
    const { sessionId } = await client.login({ email, password });
    await logout;
    expect(await backend.revokedReason(sessionId)).toBeNull();
    expect(await openTab(jar).client.resume()).toMatchObject({ sessionId });
  });
});

test('tells the app why a session ended while the page was closed', async () => {
  const { jar, sessionId } = await signUp();
  await passTime(backend.app.sql, 31 * 86_400, [sessionId]);
  const { client, events } = openTab(jar);
  expect(await client.resume()).toBeNull();
  await flushCallbacks();
  expect(events).toEqual(['expired']);
});
