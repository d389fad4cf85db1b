// Which actions are in the trail, and whether docs/audit.md lists them.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { password, startApp, type TestApp } from '../harness.ts';
import { takeTour } from '../http/tour.ts';
import { newAuditor, eventsOf, eventually } from './trail.ts';

jest.setTimeout(60_000);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const of = (userId: string, type?: string) =>
  type === undefined
    ? eventsOf(app.sql, 'user_id = $1', userId)
    : eventsOf(app.sql, 'user_id = $1 AND type = $2', userId, type);
const typesOf = async (userId: string) => (await of(userId)).map(({ type }) => type);

describe('docs/audit.md', () => {
  const source = readFileSync('src/core/audit/audit.ts', 'utf8');
  const [, union = ''] = /^export type AuditEventType =([^;]+);/m.exec(source) ?? [];
  const types = [...union.matchAll(/'([^']+)'/g)].map(([, type = '']) => type);
  const page = readFileSync('docs/audit.md', 'utf8');
  const documented = [...page.matchAll(/^\| `([^`]+)` +\|/gm)].map(([, type = '']) => type);

  test('lists every event type once and no others', () => {
    expect(types.length).toBeGreaterThan(30);
    expect(documented.toSorted()).toEqual(types.toSorted());
  });

  test('describes when, with which outcome and with which ids each event is recorded', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows).toHaveLength(types.length);
    for (const row of rows) expect(row).toMatch(/^\| `[a-z_.]+` +\| \S[^|]+ \| (success|failure)[^|]* \| \S[^|]+ \|$/);
  });
});

describe('a denied request of an authenticated principal is recorded', () => {
  test('if a scope is missing', async () => {
    const { access_token: token, user, session_id: session } = await app.register();
    expect((await app.get('/admin/audit', token)).status).toBe(403);
    const events = await eventually(() => of(user.id, 'authorization.refused'));
    expect(events).toEqual([
      expect.objectContaining({
        outcome: 'failure',
        reason: 'listAuditEvents insufficient_scope: audit:read',
        actor_id: user.id,
        user_id: user.id,
        session_id: session,
      }),
    ]);
  });

  test('if a demoted administrator still has the token', async () => {
    const { token, user } = await newAuditor(app);
    await app.db.roles.take(user.id, 'admin');
    expect((await app.get('/admin/audit', token)).status).toBe(403);
    expect(await eventually(() => of(user.id, 'authorization.refused'))).toHaveLength(1);
  });

  test('if the session of a valid access token was revoked', async () => {
    const { access_token: token, refresh_token: refresh, user } = await app.register();
    expect((await app.post('/logout', { refresh_token: refresh })).status).toBe(204);
    expect((await app.get('/me', token)).status).toBe(401);
    const [event] = await eventually(() => of(user.id, 'authorization.refused'));
    expect(event).toMatchObject({ reason: 'getMe invalid_access_token: session ended', actor_id: user.id });
  });

  test('without the text that the client sent', async () => {
    const { user, email } = await app.register();
    await app.db.roles.define('definer', ['roles:write']);
    await app.db.roles.grant(user.id, 'definer');
    const { body } = await app.post('/login', { email, password, scope: 'roles:write api-keys' });
    const scopes = Array.from({ length: 100 }, (_, n) => `ada-${n}@example.com`);
    for (const path of ['/admin/roles', '/api-keys']) {
      const denied = await app.post(path, { name: 'too-strong', scopes }, body.access_token);
      expect([denied.status, denied.body.code]).toEqual([403, 'insufficient_scope']);
      expect(denied.headers['www-authenticate']).toBe('Bearer realm="keyturn", error="insufficient_scope"');
    }
    const events = await eventually(() => of(user.id, 'authorization.refused'), 2);
    expect(new Set(events.map(({ reason }) => reason))).toEqual(
      new Set([
        'createApiKey insufficient_scope: wider than the token',
        'createRole insufficient_scope: exceeds own scopes',
      ]),
    );
  });

  test('once per request, unlike unauthenticated and invalid requests', async () => {
    const { access_token: token, user } = await app.register();
    const count = async () =>
      (await eventsOf(app.sql, `type = 'authorization.refused'`)).filter(({ user_id: id }) => id !== user.id).length;
    const before = await count();
    expect((await app.get('/me', `${token}x`)).status).toBe(401);
    expect((await app.get('/me')).status).toBe(401);
    expect((await app.call('patch', '/me', { token, body: { display_name: '' } })).status).toBe(400);
    const id = '01a203e7-b2fc-7d4c-bf05-3c5343d35e9f';
    expect((await app.call('delete', `/sessions/${id}`, { token })).status).toBe(404);
    for (let n = 0; n < 5; n += 1) expect((await app.get('/admin/audit', token)).status).toBe(403);
    expect(await eventually(() => of(user.id, 'authorization.refused'), 5)).toHaveLength(5);
    expect(await count()).toBe(before);
  });

  test('without delaying responses while the trail is locked', async () => {
    const { access_token: token, user } = await app.register();
    const lock = await app.sql.connect();
    await lock.query('BEGIN');
    await lock.query('LOCK TABLE audit_events');
    const responses = await Promise.all(Array.from({ length: 80 }, () => app.get('/admin/audit', token)));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([403]));
    // The responses came while their events still wait.
    const { rows } = await app.sql.query('SELECT FROM pg_locks WHERE NOT granted');
    expect(rows.length).toBeGreaterThan(0);
    await lock.query('ROLLBACK');
    lock.release();
    // The others are only in the log.
    const written = await eventually(() => of(user.id, 'authorization.refused'), 50);
    expect(written.length).toBeGreaterThan(0);
    expect(written.length).toBeLessThanOrEqual(50);
  });
});

describe('an attempt to authenticate', () => {
  test('with a genuine refresh token of an ended session is recorded with the reason', async () => {
    const [revoked, expired] = [await app.register(), await app.register()];
    await app.post('/logout', { refresh_token: revoked.refresh_token });
    await app.db.sessions.expire(expired);
    for (const [{ refresh_token: token, user, session_id: session }, reason] of [
      [revoked, 'revoked'],
      [expired, 'expired'],
    ] as const) {
      expect((await app.refresh(token)).status).toBe(401);
      expect(await of(user.id, 'refresh_token.refused')).toEqual([
        expect.objectContaining({ outcome: 'failure', reason, session_id: session, actor_id: null }),
      ]);
    }
  });

  test('with a password during a lockout is recorded, whether the password is correct or not', async () => {
    const locking = await startApp({ LOCKOUT_ATTEMPTS: '2' });
    try {
      const { email, user } = await locking.register();
      for (let n = 0; n < 2; n += 1) await locking.login(email, 'wrong wrong wrong');
      for (const secret of [password, 'wrong wrong wrong'])
        expect((await locking.login(email, secret)).status).toBe(423);
      const events = await eventsOf(locking.sql, 'user_id = $1', user.id);
      expect(events.map(({ type }) => type)).toEqual([
        'account.registered',
        'login',
        'login',
        'account.locked',
        'account.tried_while_locked',
        'account.tried_while_locked',
      ]);
    } finally {
      await locking.close();
    }
  });

  test('by an ordinary or a repeated refresh is not recorded', async () => {
    const { refresh_token: token, user } = await app.register();
    let current = token;
    for (let n = 0; n < 5; n += 1) current = (await app.refresh(current)).body.refresh_token;
    expect((await app.refresh(token)).status).toBe(200);
    await sleep(100);
    expect(await typesOf(user.id)).toEqual(['account.registered']);
  });
});

test('a failed change leaves no event, and a failed event undoes the change', async () => {
  const { access_token: token, email, user } = await app.register();
  const change = () =>
    app.post('/me/password', { current_password: password, new_password: 'a quieter mare and no battery' }, token);
  await app.db.audit.reject('password.changed');
  expect((await change()).status).toBe(500);
  expect(await typesOf(user.id)).toEqual(['account.registered']);
  expect((await app.login(email)).status).toBe(200); // the old password is still valid
  await app.db.audit.accept();

  await app.db.emails.reject('password_changed');
  expect((await change()).status).toBe(500);
  expect(await of(user.id, 'password.changed')).toEqual([]);
  await app.db.emails.accept();
  expect((await change()).status).toBe(204);
  expect(await of(user.id, 'password.changed')).toHaveLength(1);
});

test('audit_events contains no personal data, no text from clients and no secrets', async () => {
  const mark = 'text-from-a-client';
  const { secrets } = await takeTour(app, mark);
  const lines = await app.db.server.textOf('audit_events');
  expect(lines.length).toBeGreaterThan(40);
  const text = lines.join('\n');
  expect(text).not.toMatch(/@|127\.0\.0\.1|Lovelace/);
  for (const secret of [mark, ...secrets]) expect(text).not.toContain(secret);
});

test('a deleted account leaves no personal data, not even in later events', async () => {
  const { access_token: token, email, user } = await app.register();
  await app.get('/admin/audit', token);
  await app.login(email, 'wrong wrong wrong');
  await eventually(() => of(user.id, 'authorization.refused'));
  expect((await app.post('/me/delete', { current_password: password }, token)).status).toBe(204);
  expect((await app.get('/me', token)).status).toBe(401);
  expect(await eventually(() => of(user.id, 'authorization.refused'), 2)).toHaveLength(2);
  const { rows } = await app.sql.query(
    `SELECT 1 FROM audit_personal_data AS p JOIN audit_events AS e ON e.id = p.event_id
     WHERE e.user_id = $1 OR p.user_id = $1 OR p.email = $2`,
    [user.id, email],
  );
  expect(rows).toEqual([]);
});

test('the address of an administrator is erased with their account and not with the account that they changed', async () => {
  const { email, user: admin } = await app.register();
  await app.db.roles.grant(admin.id, 'admin');
  const { access_token: token } = (await app.post('/login', { email, password, scope: 'users:write' })).body;
  const { user } = await app.register();
  await app.post(`/admin/users/${user.id}/logout`, undefined, token);
  expect((await app.call('delete', `/admin/users/${user.id}`, { token })).status).toBe(204);
  const personalData = async () =>
    (
      await app.sql.query(
        `SELECT e.type, p.ip, p.email FROM audit_events AS e JOIN audit_personal_data AS p ON p.event_id = e.id
         WHERE e.user_id = $1 AND e.actor_id = $2 ORDER BY e.id`,
        [user.id, admin.id],
      )
    ).rows as object[];
  expect(await personalData()).toEqual(
    ['user.logged_out', 'user.deleted'].map((type) => ({ type, ip: expect.any(String), email: null })),
  );
  await app.db.users.remove(admin.id);
  expect(await personalData()).toEqual([]);
});
