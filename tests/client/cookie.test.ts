// Cookie transport: the browser keeps the refresh token, here in a jar of the test's that script cannot look into.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Client, createClient, type ClientOptions } from '../../src/client/index.ts';
import { freshEmail, password } from '../harness.ts';
import type { Fault } from '../support/faulty-proxy.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { letPass, readSession } from '../support/session-rows.ts';
import { errorOf, refreshesOf, settle, startWorld, type World } from './world.ts';

const origin = 'https://app.example.com';

let world: World;
beforeAll(async () => {
  world = await startWorld({ CORS_ORIGINS: origin });
});
afterAll(() => world.close());
afterEach(() => {
  world.proxy.weather = () => undefined;
  world.proxy.seen.length = 0;
});

/** What tabs of one browser share. It takes and gives the cookie as browsers do: only where credentials are included. */
interface Jar {
  cookie: string | undefined;
  fetch: typeof fetch;
}

function makeJar(): Jar {
  const jar: Jar = {
    cookie: undefined,
    async fetch(input, init = {}) {
      const headers = new Headers(init.headers);
      headers.set('origin', origin);
      headers.set('sec-fetch-site', 'same-site');
      if (init.credentials === 'include' && jar.cookie) headers.set('cookie', jar.cookie);
      const answer = await fetch(input, { ...init, headers });
      const [pair = ''] = (answer.headers.get('set-cookie') ?? '').split(';');
      if (init.credentials === 'include' && pair !== '') jar.cookie = pair.endsWith('=') ? undefined : pair;
      return answer;
    },
  };
  return jar;
}

interface Tab {
  client: Client;
  jar: Jar;
  told: string[];
}

function openTab(jar = makeJar(), options: Partial<Omit<ClientOptions, 'transport' | 'storage'>> = {}): Tab {
  const told: string[] = [];
  const client = createClient({
    baseUrl: world.proxy.baseUrl,
    transport: 'cookie',
    timeoutMs: 1000,
    fetch: jar.fetch,
    onSignedIn: ({ sessionId }) => void told.push(sessionId),
    onSignedOut: (reason) => void told.push(reason),
    ...options,
  });
  return { client, jar, told };
}

async function signUp(jar?: Jar): Promise<Tab & { email: string; sessionId: string }> {
  const tab = openTab(jar);
  const email = freshEmail();
  await tab.client.register({ email, password, display_name: 'Ada Lovelace' });
  return { ...tab, email, sessionId: tab.client.session?.sessionId ?? '' };
}

const tokenIn = ({ cookie = '' }: Jar): string => cookie.slice(cookie.indexOf('ktr_'));
const revokedReason = async (id: string) => (await readSession(world.app.sql, id)).revokedReason;

test('a sign-in survives a reload, and no body bears the refresh token', async () => {
  const { jar, sessionId } = await signUp();
  expect(tokenIn(jar)).toMatch(/^ktr_/);
  const reloaded = openTab(jar);
  expect(await reloaded.client.resume()).toMatchObject({ sessionId });
  expect((await reloaded.client.fetch('/me')).status).toBe(200);
  expect(world.proxy.seen.map(({ path }) => path)).toEqual(['/register', '/csrf', '/refresh', '/me']);
  expect(refreshesOf(world).map(({ body }) => body)).toEqual(['']);
  expect(generationOf(tokenIn(jar))).toBe(1);
});

test('a browser without a cookie is signed out quietly', async () => {
  const { client, told } = openTab();
  expect(await client.resume()).toBeNull();
  expect(told).toEqual([]);
  expect(world.proxy.seen.map(({ path }) => path)).toEqual(['/csrf']);
});

test.each<[string, Fault]>([
  ['a lost answer', 'loseAnswer'],
  ['a cut answer', 'cutAnswer'],
  ['a doubled request', 'duplicate'],
  ["a proxy's 403", { status: 403, body: 'blocked' }],
  ['a 503', { status: 503, headers: { 'retry-after': '0' }, seen: true }],
])('%s: the session goes on with the cookie that the browser has', async (_, fault) => {
  const { jar, sessionId } = await signUp();
  const faults: Fault[] = [fault];
  world.proxy.weather = ({ path }) => (path === '/refresh' ? faults.shift() : undefined);
  const { client, told } = openTab(jar);
  expect(await client.resume()).toMatchObject({ sessionId });
  expect(refreshesOf(world)).toHaveLength(fault === 'duplicate' ? 1 : 2);
  await settle();
  expect(told).toEqual([sessionId]);
  expect((await readSession(world.app.sql, sessionId)).revokedReason).toBeNull();
});

test('a lost answer to /csrf is asked for again', async () => {
  const { jar, sessionId } = await signUp();
  const faults: Fault[] = ['loseAnswer', 'portal'];
  world.proxy.weather = ({ path }) => (path === '/csrf' ? faults.shift() : undefined);
  expect(await openTab(jar).client.resume()).toMatchObject({ sessionId });
});

test('ten tabs without locks refresh at once: one chain, and nobody is signed out', async () => {
  const { jar, sessionId } = await signUp();
  const tabs = Array.from({ length: 10 }, () => openTab(jar));
  for (const session of await Promise.all(tabs.map(({ client }) => client.resume())))
    expect(session).toMatchObject({ sessionId });
  expect(await openTab(jar).client.resume()).toMatchObject({ sessionId });
});

test('after a login in another tab, a tab goes on as the new user and tells the app', async () => {
  const first = await signUp();
  const reloaded = openTab(first.jar);
  await reloaded.client.resume();
  const second = await signUp(first.jar);
  expect(await revokedReason(first.sessionId)).not.toBeNull();
  const me = await reloaded.client.fetch('/me');
  expect(await me.json()).toMatchObject({ email: second.email });
  await settle();
  expect(reloaded.told).toEqual([first.sessionId, second.sessionId]);
});

describe('signing out', () => {
  test('ends the session and takes the cookie away', async () => {
    const { client, jar, sessionId, told } = await signUp();
    await client.logout();
    expect(jar.cookie).toBeUndefined();
    expect(await revokedReason(sessionId)).not.toBeNull();
    expect(told).toEqual([sessionId, 'logged_out']);
    expect(await openTab(jar).client.resume()).toBeNull();
  });

  test('right after a reload, before anything else was asked', async () => {
    const { jar, sessionId } = await signUp();
    await openTab(jar).client.logout();
    expect(jar.cookie).toBeUndefined();
    expect(await revokedReason(sessionId)).not.toBeNull();
  });

  test('when nobody is signed in is no error', async () => {
    await expect(openTab().client.logout()).resolves.toBeUndefined();
  });

  test('everywhere ends other browsers, too, and takes the cookie away', async () => {
    const { client, jar, email, sessionId } = await signUp();
    const other = openTab();
    const { sessionId: second } = await other.client.login({ email, password });
    await client.logoutAll();
    expect(jar.cookie).toBeUndefined();
    for (const id of [sessionId, second]) expect(await revokedReason(id)).not.toBeNull();
    expect(await errorOf(other.client.fetch('/me'))).toMatchObject({ code: 'signed_out', reason: 'revoked' });
  });

  test('without a network: signed out in this page, and the app learns that a reload signs in again', async () => {
    const { jar, sessionId } = await signUp();
    const { client } = openTab(jar, { patienceMs: 300 });
    await client.resume();
    world.proxy.weather = () => 'loseRequest';
    expect(await errorOf(client.logout())).toMatchObject({ code: 'network' });
    world.proxy.weather = () => undefined;
    expect(await errorOf(client.accessToken())).toMatchObject({ code: 'signed_out' });
    const reloaded = openTab(jar);
    expect(await reloaded.client.resume()).toMatchObject({ sessionId });
    await reloaded.client.logout();
    expect(await openTab(jar).client.resume()).toBeNull();
  });

  test('that is still being told does not end the session of a login that came meanwhile', async () => {
    const { client, jar, email } = await signUp();
    const faults: Fault[] = ['loseRequest', 'loseRequest'];
    world.proxy.weather = ({ path }) => (path === '/logout' ? faults.shift() : undefined);
    const logout = client.logout();
    while (!world.proxy.seen.some(({ path }) => path === '/logout')) await settle();
    const { sessionId } = await client.login({ email, password });
    await logout;
    expect(await revokedReason(sessionId)).toBeNull();
    expect(await openTab(jar).client.resume()).toMatchObject({ sessionId });
  });
});

test('a session that ended while the page was closed: the app learns why', async () => {
  const { jar, sessionId } = await signUp();
  await letPass(world.app.sql, 31 * 86_400, [sessionId]);
  const { client, told } = openTab(jar);
  expect(await client.resume()).toBeNull();
  await settle();
  expect(told).toEqual(['expired']);
});
