// Logins, logouts and refreshes that overlap, storages that fail, and clients that share a storage.
import { describe, expect, test } from '@jest/globals';
import { freshEmail, password } from '../harness.ts';
import { generationOf } from '../support/refresh-tokens.ts';
import { readSession, readSessionsOf } from '../support/session-rows.ts';
import { displayName, errorOf, flushCallbacks, makeTestClient, restart, signUp, useBackend } from './support.ts';

const backend = useBackend();

describe('login and registration', () => {
  test('calls the callbacks for each login and logout', async () => {
    const { client, email, sessionId } = await signUp(backend);
    await client.logout();
    expect(client.session).toBeNull();
    const session = await client.login({ email, password });
    await flushCallbacks();
    expect(session).toEqual(client.session);
    expect(client.events).toEqual([sessionId, 'logged_out', session.sessionId]);
    expect(await backend.revokedReason(sessionId)).not.toBeNull();
    expect(await backend.revokedReason(session.sessionId)).toBeNull();
  });

  test('an invalid registration rejects with every invalid field', async () => {
    const client = makeTestClient(backend);
    const error = await errorOf(client.register({ email: 'no', password: 'short', display_name: '' }));
    expect(error).toMatchObject({ code: 'validation_failed', status: 400, isTemporary: false });
    expect(error.errors.map(({ path }) => path)).toEqual(expect.arrayContaining(['email', 'password', 'display_name']));
    expect(error.requestId).toMatch(/./);
  });

  test('a registration whose address must be verified first rejects with email_not_verified', async () => {
    const client = makeTestClient(backend);
    const body = JSON.stringify({ message: 'Open the link that we sent to your email address.' });
    backend.failNext('/register', { status: 202, headers: { 'content-type': 'application/json' }, body });
    const error = await errorOf(client.register({ email: freshEmail(), password, display_name: displayName }));
    expect(error).toMatchObject({
      code: 'email_not_verified',
      isTemporary: false,
      detail: expect.stringContaining('link'),
    });
  });

  test('a failed login keeps the current session', async () => {
    const { client, email, sessionId } = await signUp(backend);
    expect(await errorOf(client.login({ email, password: 'wrong' }))).toMatchObject({
      code: 'invalid_credentials',
      status: 401,
    });
    expect((await client.fetch('/me')).status).toBe(200);
    expect(client.session?.sessionId).toBe(sessionId);
  });

  test('a login revokes the session that it replaces', async () => {
    const { client, email, sessionId } = await signUp(backend);
    const { sessionId: second } = await client.login({ email, password });
    expect(await backend.revokedReason(sessionId)).not.toBeNull();
    expect(await backend.revokedReason(second)).toBeNull();
  });

  test('a login during a refresh replaces the refreshed session', async () => {
    const { client, email } = await signUp(backend);
    const app = restart(backend, client);
    backend.failNext('/refresh', 'delay');
    const refreshed = app.accessToken();
    const { sessionId } = await app.login({ email, password });
    expect(await refreshed).toMatch(/^ey/);
    expect(app.session?.sessionId).toBe(sessionId);
    const [payload = ''] = (await app.accessToken()).split('.').slice(1);
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ sid: sessionId });
    expect(await restart(backend, app).resume()).toMatchObject({ sessionId });
  });

  test('of two concurrent logins the later one wins', async () => {
    const { client, email } = await signUp(backend);
    await client.logout();
    const [, later] = await Promise.all([client.login({ email, password }), client.login({ email, password })]);
    expect(client.session).toEqual(later);
    expect(await restart(backend, client).resume()).toEqual(later);
  });
});

describe('logout', () => {
  test('a refresh response that arrives after the logout is discarded', async () => {
    const { client, sessionId } = await signUp(backend);
    const app = restart(backend, client);
    backend.failNext('/refresh', 'delay');
    const refreshed = errorOf(app.accessToken());
    await backend.untilRequested('/refresh');
    await app.logout();
    expect(await refreshed).toMatchObject({ code: 'signed_out' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(app.session).toBeNull();
    expect(app.storage.token).toBeUndefined();
    expect(await backend.revokedReason(sessionId)).not.toBeNull();
  });

  test('a logout removes and revokes a token that a refresh is storing', async () => {
    const { client, sessionId } = await signUp(backend);
    const app = restart(backend, client);
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
    expect(await backend.revokedReason(sessionId)).not.toBeNull();
  });

  test('a logout cancels a login in progress', async () => {
    const { client, email } = await signUp(backend);
    await client.logout();
    backend.failNext('/login', 'delay');
    const login = errorOf(client.login({ email, password }));
    await backend.untilRequested('/login');
    await client.logout();
    expect(await login).toMatchObject({ code: 'superseded' });
    expect(client.session).toBeNull();
    expect(client.storage.token).toBeUndefined();
    const { rows } = await backend.app.sql.query('SELECT id FROM users WHERE email = $1', [email]);
    const sessions = await readSessionsOf(backend.app.sql, (rows as [{ id: string }])[0].id);
    expect(sessions.filter(({ revokedReason: reason }) => reason === null)).toEqual([]);
  });

  test('a logout is retried until the service receives it', async () => {
    const { client, sessionId } = await signUp(backend);
    backend.failNext('/logout', 'loseRequest', 'loseResponse');
    await client.logout();
    expect(backend.requestsTo('/logout')).toHaveLength(3);
    expect(await backend.revokedReason(sessionId)).not.toBeNull();
  });

  test('a logout without a network removes the token at once and rejects', async () => {
    const { client, sessionId } = await signUp(backend, { retryTimeoutMs: 300 });
    backend.failAll('loseRequest');
    const pending = errorOf(client.logout());
    expect(client.session).toBeNull();
    expect(await pending).toMatchObject({ code: 'network', isTemporary: true });
    expect(client.storage.token).toBeUndefined();
    expect(client.events).toEqual([sessionId, 'logged_out']);
    expect(await errorOf(client.accessToken())).toMatchObject({ code: 'signed_out', reason: 'logged_out' });
  });

  test('logoutAll revokes the sessions of other devices, which learn the reason', async () => {
    const { client, email, sessionId } = await signUp(backend);
    const phone = makeTestClient(backend);
    const { sessionId: second } = await phone.login({ email, password });
    await client.logoutAll();
    await flushCallbacks();
    expect(client.events).toEqual([sessionId, 'logged_out']);
    expect(client.storage.token).toBeUndefined();
    for (const id of [sessionId, second]) expect(await backend.revokedReason(id)).not.toBeNull();
    expect(await errorOf(phone.fetch('/me'))).toMatchObject({ code: 'signed_out', reason: 'revoked' });
    await flushCallbacks();
    expect(phone.events).toEqual([second, 'revoked']);
  });

  test('logoutAll without a network rejects and keeps the session', async () => {
    const { client, sessionId } = await signUp(backend, { retryTimeoutMs: 300 });
    backend.failAll('loseRequest');
    expect(await errorOf(client.logoutAll())).toMatchObject({ code: 'network' });
    backend.recover();
    expect((await client.fetch('/me')).status).toBe(200);
    expect(client.events).toEqual([sessionId]);
  });
});

describe('token storage', () => {
  test('contains the new refresh token before the access token is used', async () => {
    const { client } = await signUp(backend);
    const app = restart(backend, client);
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

  test('after a temporary failure of set, a retry gets the same successor', async () => {
    const { client, sessionId } = await signUp(backend);
    const app = restart(backend, client);
    app.storage.failing.add('set');
    const pending = app.accessToken();
    while (backend.requestsTo('/refresh').length < 2) await flushCallbacks();
    app.storage.failing.delete('set');
    await pending;
    expect(await readSession(backend.app.sql, sessionId)).toMatchObject({ generation: 1, revokedReason: null });
    expect(app.storage.writes.map((token) => generationOf(token))).toEqual([0, 1]);
  });

  test.each(['get', 'set'] as const)('a permanent failure of %s rejects without a sign-out', async (operation) => {
    const { client } = await signUp(backend);
    const app = restart(backend, client, { retryTimeoutMs: 300 });
    app.storage.failing.add(operation);
    const error = await errorOf(app.accessToken());
    expect(error).toMatchObject({ code: 'storage_failed', isTemporary: true });
    expect((error.cause as Error).message).toBe('the keychain is locked');
    expect(app.events).toEqual([]);
    app.storage.failing.clear();
    expect(await app.accessToken()).toMatch(/^ey/);
  });

  test('a token that remove cannot delete is revoked', async () => {
    const { client, sessionId } = await signUp(backend);
    client.storage.failing.add('remove');
    await client.logout();
    expect(await backend.revokedReason(sessionId)).not.toBeNull();
    expect(await restart(backend, client).resume()).toBeNull();
  });

  test('ten clients that share a storage without a lock stay signed in', async () => {
    const { client, sessionId } = await signUp(backend);
    const clients = Array.from({ length: 10 }, () => restart(backend, client));
    for (let round = 0; round < 5; round += 1)
      expect(await Promise.all(clients.map((one) => restart(backend, one).resume()))).toEqual(
        Array.from({ length: 10 }, () => expect.objectContaining({ sessionId })),
      );
    expect(await restart(backend, client).resume()).toMatchObject({ sessionId });
    expect(await backend.revokedReason(sessionId)).toBeNull();
  });

  test('a token stored during a rejected refresh is used instead of a sign-out', async () => {
    const { client, email, sessionId } = await signUp(backend);
    const app = restart(backend, client);
    const other = restart(backend, client);
    await backend.app.post('/logout', { refresh_token: client.storage.token });
    const tokens = (await backend.app.login(email)).body as Record<string, string>;
    backend.failNext('/refresh', 'delay');
    const resumed = app.resume();
    await backend.untilRequested('/refresh');
    client.storage.token = tokens['refresh_token'];
    expect((await resumed)?.sessionId).toBe(tokens['session_id']);
    expect((await other.resume())?.sessionId).toBe(tokens['session_id']);
    await flushCallbacks();
    expect(app.events).toEqual([tokens['session_id']]);
    expect(tokens['session_id']).not.toBe(sessionId);
  });
});

test('no URL and no error contains a token or a password', async () => {
  const client = makeTestClient(backend, { retryTimeoutMs: 300 });
  const email = freshEmail();
  await client.register({ email, password, display_name: displayName });
  const secrets = [client.storage.token ?? '', await client.accessToken(), password];
  backend.failAll('cutResponse');
  const errors = [await errorOf(restart(backend, client, { retryTimeoutMs: 300 }).accessToken())];
  errors.push(await errorOf(client.logoutAll()), await errorOf(client.login({ email, password })));
  backend.recover();
  errors.push(await errorOf(client.login({ email, password: `${password}?` })));
  expect(errors.map(({ code }) => code)).toContain('invalid_credentials');
  for (const secret of secrets) {
    for (const error of errors)
      expect(JSON.stringify([error, error.message, error.stack, String(error.cause)])).not.toContain(secret);
    for (const { path } of backend.proxy.requests) expect(path).not.toContain(secret);
  }
});
