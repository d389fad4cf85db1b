// What a client does while the network or the service fails: it repeats the same token, and believes nobody but the service.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from '../../src/client/index.ts';
import { type Fault, startFaultyProxy } from '../support/faulty-proxy.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { letPass, readSession } from '../support/session-rows.ts';
import { errorOf, makeStorage, refreshesOf, reload, settle, signUp, startWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());
afterEach(() => {
  world.proxy.weather = () => undefined;
  world.proxy.seen.length = 0;
});

/** The first refreshes suffer these, one after the other. */
function refreshesSuffer(...faults: (Fault | undefined)[]): void {
  world.proxy.weather = ({ path }) => (path === '/refresh' ? faults.shift() : undefined);
}

const tokensSent = () =>
  refreshesOf(world).map(({ body }) => (JSON.parse(body) as { refresh_token: string }).refresh_token);

const retryNow = { 'retry-after': '0' };

describe('the same token is repeated, and the session goes on', () => {
  test.each<[string, Fault]>([
    ['a request that never arrived', 'loseRequest'],
    ['an answer that was lost', 'loseAnswer'],
    ['an answer that was cut off', 'cutAnswer'],
    ['half an answer that looks whole', 'halveAnswer'],
    ['an answer that never comes', 'swallowAnswer'],
    ['a request that the network doubled', 'duplicate'],
    ["a captive portal's page", 'portal'],
    ["a proxy's 502", { status: 502, body: '<h1>Bad Gateway</h1>' }],
    ["a proxy's 401, which is not the service's", { status: 401, body: '<h1>Who are you?</h1>' }],
    ["a proxy's 403", { status: 403, body: 'blocked' }],
    ['a 503 after the turn was made', { status: 503, headers: retryNow, seen: true }],
    ['a 429', { status: 429, headers: retryNow }],
    ['a 500', { status: 500, body: '{}' }],
  ])('%s', async (_, fault) => {
    const { client, sessionId } = await signUp(world);
    const first = client.storage.token;
    const app = reload(world, client);
    refreshesSuffer(fault);
    expect(await app.resume()).toMatchObject({ sessionId });
    const sent = tokensSent();
    expect(new Set(sent)).toEqual(new Set([first]));
    expect(sent).toHaveLength(fault === 'duplicate' ? 1 : 2);
    expect(app.storage.writes.map((token) => generationOf(token))).toEqual([0, 1]);
    expect(app.told).toEqual([sessionId]);
    expect(await readSession(world.app.sql, sessionId)).toMatchObject({ generation: 1, revokedReason: null });
  });
});

test('a redirect takes the refresh token nowhere', async () => {
  const stranger = await startFaultyProxy(world.app.baseUrl);
  const { client, sessionId } = await signUp(world);
  refreshesSuffer({ status: 307, headers: { location: `${stranger.baseUrl}/refresh` } });
  expect(await reload(world, client).resume()).toMatchObject({ sessionId });
  expect(stranger.seen).toEqual([]);
  await stranger.close();
});

test('twenty callers wait for one row of repeats, not for twenty', async () => {
  const { client } = await signUp(world);
  const app = reload(world, client, { patienceMs: 500 });
  world.proxy.weather = () => 'loseRequest';
  const errors = await Promise.all(Array.from({ length: 20 }, () => errorOf(app.accessToken())));
  expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['network']));
  expect(refreshesOf(world).length).toBeLessThan(5);
});

test('it comes back after Retry-After, not before', async () => {
  const { client } = await signUp(world);
  refreshesSuffer({ status: 503, headers: { 'retry-after': '1' } });
  await reload(world, client).accessToken();
  const [first, second] = refreshesOf(world);
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
});

test('waits grow, and are not the same for everybody', async () => {
  const { client } = await signUp(world);
  refreshesSuffer(...Array.from({ length: 4 }, (): Fault => 'loseRequest'));
  await reload(world, client).accessToken();
  const times = refreshesOf(world).map(({ atMs }) => atMs);
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  expect(waits).toHaveLength(4);
  for (const [index, wait] of waits.entries()) {
    expect(wait).toBeGreaterThanOrEqual(250 * 2 ** index * 0.5 - 5);
    expect(wait).toBeLessThan(250 * 2 ** index + 150);
  }
});

test('patience ends with an error, not with a sign-out; the next call goes on with the same token', async () => {
  const { client, sessionId } = await signUp(world);
  const app = reload(world, client, { patienceMs: 300 });
  world.proxy.weather = () => 'loseRequest';
  const error = await errorOf(app.accessToken());
  expect(error).toMatchObject({ code: 'network', isTemporary: true });
  expect(app.told).toEqual([]);
  world.proxy.weather = () => undefined;
  expect(await app.resume()).toMatchObject({ sessionId });
});

test('who was told to come back in a minute does not ask again before', async () => {
  const { client } = await signUp(world);
  const app = reload(world, client);
  refreshesSuffer({ status: 429, headers: { 'retry-after': '60' } });
  for (let calls = 0; calls < 3; calls += 1)
    expect((await errorOf(app.accessToken())).retryAfterSeconds).toBeGreaterThan(55);
  expect(refreshesOf(world)).toHaveLength(1);
  expect(app.told).toEqual([]);
});

test('while the service is away, an access token is used to its end', async () => {
  const { client } = await signUp(world, { patienceMs: 1000 });
  const token = await client.accessToken();
  world.proxy.weather = () => ({ status: 503, headers: { 'retry-after': '60' } });
  const clock = stepClock();
  try {
    clock.step(850);
    expect(await client.accessToken()).toBe(token);
    await settle();
    clock.step(45);
    expect((await errorOf(client.accessToken())).isTemporary).toBe(true);
    expect(client.told).toHaveLength(1);
  } finally {
    clock.restore();
  }
});

test('an access token is renewed before it ends, without anybody waiting for it', async () => {
  const { client } = await signUp(world);
  const token = await client.accessToken();
  const clock = stepClock();
  try {
    clock.step(800);
    expect(await client.accessToken()).toBe(token);
    expect(refreshesOf(world)).toHaveLength(0);
    clock.step(50);
    expect(await client.accessToken()).toBe(token);
    while (client.storage.writes.length < 2) await settle();
    await settle();
    expect(await client.accessToken()).not.toBe(token);
    expect(refreshesOf(world)).toHaveLength(1);
  } finally {
    clock.restore();
  }
});

test('a clock that is set back by a day does not make an access token good for a day longer', async () => {
  const { client } = await signUp(world);
  const token = await client.accessToken();
  const clock = stepClock();
  try {
    clock.step(-86_400);
    expect(await client.accessToken()).not.toBe(token);
  } finally {
    clock.restore();
  }
});

test('a laptop that slept for a week goes on where it was', async () => {
  const { client, sessionId } = await signUp(world);
  const clock = stepClock();
  try {
    clock.step(7 * 86_400);
    await letPass(world.app.sql, 7 * 86_400, [sessionId]);
    expect((await client.fetch('/me')).status).toBe(200);
    expect(client.told).toEqual([sessionId]);
  } finally {
    clock.restore();
  }
});

describe('signed out is who the service says is signed out', () => {
  test.each(['expired', 'revoked', 'reused', 'unknown_session'] as const)('%s', async (reason) => {
    const { client, sessionId } = await signUp(world);
    const spent = client.storage.token;
    if (reason === 'expired') await letPass(world.app.sql, 31 * 86_400, [sessionId]);
    if (reason === 'unknown_session') await world.app.sql.query('DELETE FROM sessions WHERE id = $1', [sessionId]);
    if (reason === 'revoked') await world.app.post('/logout', { refresh_token: spent });
    if (reason === 'reused') {
      await world.app.refresh(spent ?? '');
      await letPass(world.app.sql, 60, [sessionId]);
    }
    const app = reload(world, client);
    expect(await errorOf(app.accessToken())).toMatchObject({ code: 'signed_out', reason });
    await settle();
    expect(app.told).toEqual([reason]);
    expect(app.storage.token).toBeUndefined();
    expect(await errorOf(app.fetch('/me'))).toMatchObject({ code: 'signed_out', reason });
    expect(await app.resume()).toBeNull();
    expect(refreshesOf(world)).toHaveLength(1);
  });

  test('what is no refresh token at all', async () => {
    const { client } = await signUp(world);
    client.storage.token = 'ktr_of_no_service';
    const app = reload(world, client);
    expect(await app.resume()).toBeNull();
    await settle();
    expect(app.told).toEqual(['invalid']);
  });
});

test('who never was signed in is signed out quietly, and the service is not asked', async () => {
  const { client } = await signUp(world);
  await client.logout();
  world.proxy.seen.length = 0;
  const app = reload(world, client);
  expect(await app.resume()).toBeNull();
  expect(app.told).toEqual([]);
  expect(world.proxy.seen).toEqual([]);
});

test('a time-out so long that no retry would fit into the leeway is refused', () => {
  const make = (timeoutMs: number) =>
    createClient({ baseUrl: world.proxy.baseUrl, transport: 'body', storage: makeStorage(), timeoutMs });
  expect(() => make(15_001)).toThrow(RangeError);
  expect(() => make(0)).toThrow(RangeError);
  expect(() => make(15_000)).not.toThrow();
});

/** The clock of the client's device; the service here runs on it, too, but its database decides. */
function stepClock() {
  const { now } = Date;
  let offsetMs = 0;
  Date.now = () => now() + offsetMs;
  return { step: (seconds: number) => void (offsetMs += seconds * 1000), restore: () => void (Date.now = now) };
}
