import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

test('an admin holds every admin scope', async () => {
  const admin = await app.admin();
  expect((await app.get('/admin/users', admin.token)).status).toBe(200);
  expect(await app.db.roles.of(admin)).toEqual(['admin', 'user']);
});

test('a user with a role gets its scopes at the next login', async () => {
  const editor = await app.userWithRole('editor', ['posts:write']);
  expect((await app.login(editor.email)).body.scope.split(' ')).toContain('posts:write');
});

test('a disabled user and a deleted user cannot log in; a verified user can', async () => {
  for (const account of [await app.disabledUser(), await app.deletedUser()])
    expect((await app.login(account.email)).status).toBe(401);
  const verified = await app.verifiedUser();
  const { body } = await app.get('/me', await app.tokenOf(verified, 'profile'));
  expect(body.email_verified).toBe(true);
});

test('an API key works until it expires', async () => {
  const account = await app.register();
  const key = await app.apiKeyOf(account, ['profile']);
  const read = () => app.get('/me', undefined, { 'x-api-key': key.client_secret });
  expect((await read()).status).toBe(200);
  await app.db.apiKeys.expire(key);
  expect((await read()).status).toBe(401);
  await app.db.apiKeys.neverExpire(key);
  expect((await read()).status).toBe(200);
});

test('every helper for rows runs on the current schema', async () => {
  const { db } = app;
  const account = await app.register();
  const { user, session_id: session } = account;

  const inserted = await db.users.insert('inserted@example.com');
  expect(await db.users.byEmail('inserted@example.com')).toMatchObject({ id: inserted });
  expect(await db.users.byEmails(['inserted@example.com', account.email])).toHaveLength(2);
  await db.users.setDisplayName(account, 'Ada King');
  await db.users.setPasswordHash(account, '!');
  expect(await db.users.get(account)).toMatchObject({ display_name: 'Ada King', password_hash: '!' });
  expect(await db.users.passwordHash(account)).toBe('!');
  await db.users.disable(account);
  expect(await db.users.enable(account)).toBe(1);
  await db.users.lock(account);

  await db.roles.grant(account, 'admin');
  expect(await db.roles.activeHolders('admin')).toBeGreaterThan(0);
  await db.roles.take(account, 'admin');
  expect(await db.roles.of(account)).toEqual(['user']);
  await db.roles.take(account);
  expect(await db.roles.of(account)).toEqual([]);
  await db.roles.removeFromAll('admin');
  expect(await db.roles.activeHolders('admin')).toBe(0);
  expect(await db.roles.all()).toContainEqual(expect.objectContaining({ name: 'admin', built_in: true }));

  const apiKey = await db.apiKeys.insert(account);
  await db.apiKeys.setScopes(apiKey, ['profile']);
  expect(await db.apiKeys.ownerOf(apiKey)).toBe(user.id);
  expect(await db.apiKeys.remove(apiKey)).toBe(1);

  const once = await app.refresh(account.refresh_token);
  await app.refresh(once.body.refresh_token);
  await app.emails();
  const before = await db.sessions.get(account);
  const snapshot = await db.sessions.snapshot(account);
  await db.sessions.setRotationAges(account, 60, 120);
  expect(await db.sessions.get(account)).toMatchObject({ rotations: 2 });
  await db.sessions.restore(account, snapshot);
  await db.sessions.age(60, account);
  expect(before.expiresAt.getTime() - (await db.sessions.get(account)).expiresAt.getTime()).toBe(60_000);
  await db.sessions.ageAuthentication(account, 60);
  await db.sessions.expire(session, 60);
  await db.sessions.expireAbsolutely(session, 60);
  await db.sessions.revoke(session, 'logout');
  await db.sessions.lock(session);
  await db.sessions.insert(account, 3, 'bulk', { expiresIn: 60, absolutelyExpiresIn: 60 });
  await db.sessions.insert(account, 2, 'bulk', { expiresIn: 60, absolutelyExpiresIn: 60, revokedAgo: 60 });
  expect(await db.count('sessions', { user_agent: 'bulk', revoked_at: null })).toBe(3);
  expect(await db.sessions.of(account)).toHaveLength(6);
  expect(await db.sessions.remove(session)).toBe(1);

  const [registered] = await db.audit.events({ user_id: user.id, type: 'account.*' });
  expect(registered).toMatchObject({ outcome: 'success' });
  expect(await db.audit.types({ id: [registered?.id] })).toEqual([registered?.type]);
  expect(await db.audit.personalData({ user_id: user.id })).toContainEqual(
    expect.objectContaining({ email: account.email }),
  );
  expect(await db.audit.refreshesOf(session)).toEqual([]);
  await db.audit.reject('x');
  await db.audit.accept();
  await db.emails.reject('x');
  await db.emails.accept();

  await db.signingKeys.insertCopy({ status: 'retired', of: 'active', kid: 'copy', publicJwk: { x: 1 } });
  expect(await db.signingKeys.all()).toContainEqual(expect.objectContaining({ kid: 'copy', status: 'retired' }));
  expect(await db.signingKeys.insertCopy({ status: 'retired', masterKeyId: 'unknown' })).toMatch(/^.{43}$/);
  expect(await db.signingKeys.remove('retired')).toBe(2);
  expect(await db.signingKeys.kid('active')).not.toBe(await db.signingKeys.kid('next'));
  await db.signingKeys.age(60);
  await db.signingKeys.ageWanted('ES256', 60);
  await db.signingKeys.requestRotation();
  await db.signingKeys.addToPublicJwks({ use: 'sig' });
  await db.signingKeys.corrupt();
  expect(await db.signingKeys.asText()).toHaveLength(2);
  await db.signingKeys.retire('active');
  await db.signingKeys.activate('next');

  expect((await db.oneTimeTokens.of(account)).map(({ email }) => email)).toEqual([account.email]);
  await db.oneTimeTokens.age(account, 60);
  await db.oneTimeTokens.expire(account);
  await db.emails.makeDue();
  await db.emails.change({ attempts: 3, createdAgo: 60 });
  expect((await db.emails.all())[0]).toMatchObject({ attempts: 3 });
  await db.emails.remove();
  expect(await db.count('mails')).toBe(0);

  await app.login(account.email, 'wrong');
  const [counter] = await db.lockouts.all();
  const network = counter?.network ?? '';
  expect(await db.lockouts.change(network, { failures: 1, lastAttemptAgo: 60 }, 7)).toBe(0);
  expect(await db.lockouts.change(network, { attempts: 7 })).toBeGreaterThan(0);
  expect((await db.lockouts.asText()).join()).not.toContain(account.email);
  expect(await db.lockouts.hashedWithoutKey(account.email)).toBe(0);
  expect(await db.lockouts.remove(network)).toBeGreaterThan(0);

  expect(await db.server.tables()).toContain('users');
  expect(await db.server.textOf('users')).toContainEqual(expect.stringContaining(account.email));
  expect(await db.server.blockedStatements()).toBe(0);
  expect(await db.server.connections('nobody')).toBe(0);
  expect(await db.server.scansOf('signing_keys')).toBeGreaterThanOrEqual(0);
  expect(await db.server.explain('SELECT 1')).toContain('Result');
  expect((await db.select('roles', { name: 'user' }))[0]).toMatchObject({ built_in: true });
  await app.deletedUser();
  await db.server.empty();
  await expect(db.count('users')).rejects.toThrow('does not exist');
});
