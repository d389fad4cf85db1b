// Logins, logouts and refreshes that meet, storages that fail, and clients that share one.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { freshEmail, password } from '../harness.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { readSession, readSessionsOf } from '../support/session-rows.ts';
import { errorOf, makeTestClient, refreshesOf, reload, settle, signUp, startWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());
afterEach(() => {
  world.proxy.weather = () => undefined;
  world.proxy.seen.length = 0;
});

const seen = async (path: string) => {
  while (!world.proxy.seen.some((request) => request.path === path)) await settle();
};

const revokedReason = async (id: string) => (await readSession(world.app.sql, id)).revokedReason;

describe('signing in', () => {
  test('registers, logs out, logs in, and tells the app each time', async () => {
    const { client, email, sessionId } = await signUp(world);
    await client.logout();
    expect(client.session).toBeNull();
    const session = await client.login({ email, password });
    await settle();
    expect(session).toEqual(client.session);
    expect(client.told).toEqual([sessionId, 'logged_out', session.sessionId]);
    expect(await revokedReason(sessionId)).not.toBeNull();
    expect(await revokedReason(session.sessionId)).toBeNull();
  });

  test('a faulty registration names every fault', async () => {
    const client = makeTestClient(world);
    const error = await errorOf(client.register({ email: 'no', password: 'short', display_name: '' }));
    expect(error).toMatchObject({ code: 'validation_failed', status: 400, isTemporary: false });
    expect(error.errors.map(({ path }) => path)).toEqual(expect.arrayContaining(['email', 'password', 'display_name']));
    expect(error.requestId).toMatch(/./);
  });

  test('a login that fails leaves the one who is signed in', async () => {
    const { client, email, sessionId } = await signUp(world);
    expect(await errorOf(client.login({ email, password: 'not this one' }))).toMatchObject({
      code: 'invalid_credentials',
      status: 401,
    });
    expect((await client.fetch('/me')).status).toBe(200);
    expect(client.session?.sessionId).toBe(sessionId);
  });

  test('a login in place of another ends the session that it replaces', async () => {
    const { client, email, sessionId } = await signUp(world);
    const { sessionId: second } = await client.login({ email, password });
    expect(await revokedReason(sessionId)).not.toBeNull();
    expect(await revokedReason(second)).toBeNull();
  });

  test('a login during a refresh wins, and both are waited for', async () => {
    const { client, email } = await signUp(world);
    const app = reload(world, client);
    world.proxy.weather = ({ path }) => (path === '/refresh' ? 'delay' : undefined);
    const refreshed = app.accessToken();
    const { sessionId } = await app.login({ email, password });
    expect(await refreshed).toMatch(/^ey/);
    expect(app.session?.sessionId).toBe(sessionId);
    const [payload = ''] = (await app.accessToken()).split('.').slice(1);
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ sid: sessionId });
    expect(await reload(world, app).resume()).toMatchObject({ sessionId });
  });

  test('of two logins at once the later one stays', async () => {
    const { client, email } = await signUp(world);
    await client.logout();
    const [, later] = await Promise.all([client.login({ email, password }), client.login({ email, password })]);
    expect(client.session).toEqual(later);
    expect(await reload(world, client).resume()).toEqual(later);
  });
});

describe('signing out', () => {
  test('an answer to a refresh that comes after it signs nobody in', async () => {
    const { client, sessionId } = await signUp(world);
    const app = reload(world, client);
    world.proxy.weather = ({ path }) => (path === '/refresh' ? 'delay' : undefined);
    const refreshed = errorOf(app.accessToken());
    await seen('/refresh');
    await app.logout();
    expect(await refreshed).toMatchObject({ code: 'signed_out' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(app.session).toBeNull();
    expect(app.storage.token).toBeUndefined();
    expect(await revokedReason(sessionId)).not.toBeNull();
  });

  test('a refresh that is just storing its token loses it to the logout, and its session ends', async () => {
    const { client, sessionId } = await signUp(world);
    const app = reload(world, client);
    const set = app.storage.set.bind(app.storage);
    let storing = () => {};
    const isStoring = new Promise<void>((resolve) => (storing = resolve));
    app.storage.set = async (token) => {
      storing();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await set(token);
    };
    const refreshed = errorOf(app.accessToken());
    await isStoring;
    await app.logout();
    expect(await refreshed).toMatchObject({ code: 'signed_out' });
    expect(app.storage.token).toBeUndefined();
    expect(await revokedReason(sessionId)).not.toBeNull();
  });

  test('during a login, it is what counts', async () => {
    const { client, email } = await signUp(world);
    await client.logout();
    world.proxy.weather = ({ path }) => (path === '/login' ? 'delay' : undefined);
    const login = errorOf(client.login({ email, password }));
    await seen('/login');
    await client.logout();
    expect(await login).toMatchObject({ code: 'superseded' });
    expect(client.session).toBeNull();
    expect(client.storage.token).toBeUndefined();
    const { rows } = await world.app.sql.query('SELECT id FROM users WHERE email = $1', [email]);
    const sessions = await readSessionsOf(world.app.sql, (rows as [{ id: string }])[0].id);
    expect(sessions.filter(({ revokedReason: reason }) => reason === null)).toEqual([]);
  });

  test('is told to the service again until it hears it', async () => {
    const { client, sessionId } = await signUp(world);
    const faults = ['loseRequest', 'loseAnswer'] as const;
    let calls = 0;
    world.proxy.weather = ({ path }) => (path === '/logout' ? faults[calls++] : undefined);
    await client.logout();
    expect(world.proxy.seen.filter(({ path }) => path === '/logout')).toHaveLength(3);
    expect(await revokedReason(sessionId)).not.toBeNull();
  });

  test('without a network: forgotten here at once, and the app learns that the service does not know', async () => {
    const { client, sessionId } = await signUp(world, { patienceMs: 300 });
    world.proxy.weather = () => 'loseRequest';
    const pending = errorOf(client.logout());
    expect(client.session).toBeNull();
    expect(await pending).toMatchObject({ code: 'network', isTemporary: true });
    expect(client.storage.token).toBeUndefined();
    expect(client.told).toEqual([sessionId, 'logged_out']);
    expect(await errorOf(client.accessToken())).toMatchObject({ code: 'signed_out', reason: 'logged_out' });
  });

  test('everywhere: every session ends, of other devices as well, and they are told why', async () => {
    const { client, email, sessionId } = await signUp(world);
    const phone = makeTestClient(world);
    const { sessionId: second } = await phone.login({ email, password });
    await client.logoutAll();
    await settle();
    expect(client.told).toEqual([sessionId, 'logged_out']);
    expect(client.storage.token).toBeUndefined();
    for (const id of [sessionId, second]) expect(await revokedReason(id)).not.toBeNull();
    expect(await errorOf(phone.fetch('/me'))).toMatchObject({ code: 'signed_out', reason: 'revoked' });
    await settle();
    expect(phone.told).toEqual([second, 'revoked']);
  });

  test('everywhere, when the service cannot be told: nobody is signed out, here neither', async () => {
    const { client, sessionId } = await signUp(world, { patienceMs: 300 });
    world.proxy.weather = () => 'loseRequest';
    expect(await errorOf(client.logoutAll())).toMatchObject({ code: 'network' });
    world.proxy.weather = () => undefined;
    expect((await client.fetch('/me')).status).toBe(200);
    expect(client.told).toEqual([sessionId]);
  });
});

describe('the storage', () => {
  test('has the new refresh token before the access token that came with it is used', async () => {
    const { client } = await signUp(world);
    const app = reload(world, client);
    const order: string[] = [];
    const set = app.storage.set.bind(app.storage);
    app.storage.set = async (token) => {
      order.push('storing');
      await new Promise((resolve) => setTimeout(resolve, 30));
      await set(token);
      order.push('stored');
    };
    await app.accessToken().then(() => order.push('used'));
    expect(order).toEqual(['storing', 'stored', 'used']);
  });

  test('that fails for a while costs nothing: the same token is repeated, and gives the same successor', async () => {
    const { client, sessionId } = await signUp(world);
    const app = reload(world, client);
    app.storage.failing.add('set');
    const pending = app.accessToken();
    while (refreshesOf(world).length < 2) await settle();
    app.storage.failing.delete('set');
    await pending;
    expect(await readSession(world.app.sql, sessionId)).toMatchObject({ generation: 1, revokedReason: null });
    expect(app.storage.writes.map((token) => generationOf(token))).toEqual([0, 1]);
  });

  test.each(['get', 'set'] as const)('whose %s keeps failing is an error, and no sign-out', async (operation) => {
    const { client } = await signUp(world);
    const app = reload(world, client, { patienceMs: 300 });
    app.storage.failing.add(operation);
    const error = await errorOf(app.accessToken());
    expect(error).toMatchObject({ code: 'storage_failed', isTemporary: true });
    expect((error.cause as Error).message).toBe('the keychain is locked');
    expect(app.told).toEqual([]);
    app.storage.failing.clear();
    expect(await app.accessToken()).toMatch(/^ey/);
  });

  test('that does not remove keeps a token that is worth nothing', async () => {
    const { client, sessionId } = await signUp(world);
    client.storage.failing.add('remove');
    await client.logout();
    expect(await revokedReason(sessionId)).not.toBeNull();
    expect(await reload(world, client).resume()).toBeNull();
  });

  test('shared by ten clients that do not know of one another: one chain, and nobody is signed out', async () => {
    const { client, sessionId } = await signUp(world);
    const clients = Array.from({ length: 10 }, () => reload(world, client));
    for (let round = 0; round < 5; round += 1)
      expect(await Promise.all(clients.map((one) => reload(world, one).resume()))).toEqual(
        Array.from({ length: 10 }, () => expect.objectContaining({ sessionId })),
      );
    expect(await reload(world, client).resume()).toMatchObject({ sessionId });
    expect((await readSession(world.app.sql, sessionId)).revokedReason).toBeNull();
  });

  test('in which somebody else has signed in meanwhile is believed over a 401 about the past', async () => {
    const { client, email, sessionId } = await signUp(world);
    const app = reload(world, client);
    const other = reload(world, client);
    await world.app.post('/logout', { refresh_token: client.storage.token });
    const tokens = (await world.app.login(email)).body as Record<string, string>;
    world.proxy.weather = ({ path }) => (path === '/refresh' ? 'delay' : undefined);
    const resumed = app.resume();
    await seen('/refresh');
    client.storage.token = tokens['refresh_token'];
    expect((await resumed)?.sessionId).toBe(tokens['session_id']);
    expect((await other.resume())?.sessionId).toBe(tokens['session_id']);
    await settle();
    expect(app.told).toEqual([tokens['session_id']]);
    expect(tokens['session_id']).not.toBe(sessionId);
  });
});

test('a token is never in an address, nor in what an error says', async () => {
  const client = makeTestClient(world, { patienceMs: 300 });
  const email = freshEmail();
  await client.register({ email, password, display_name: 'Ada Lovelace' });
  const secrets = [client.storage.token ?? '', await client.accessToken(), password];
  world.proxy.weather = () => 'cutAnswer';
  const errors = [await errorOf(reload(world, client, { patienceMs: 300 }).accessToken())];
  errors.push(await errorOf(client.logoutAll()), await errorOf(client.login({ email, password })));
  world.proxy.weather = () => undefined;
  errors.push(await errorOf(client.login({ email, password: `${password}?` })));
  expect(errors.map(({ code }) => code)).toContain('invalid_credentials');
  for (const secret of secrets) {
    for (const error of errors)
      expect(JSON.stringify([error, error.message, error.stack, String(error.cause)])).not.toContain(secret);
    for (const { path } of world.proxy.seen) expect(path).not.toContain(secret);
  }
});
