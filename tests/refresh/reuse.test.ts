// Invariants 4 and 5: which tokens revoke a session, which do not, and the audit events of both.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { password, startApp, type TestApp } from '../harness.ts';
import { granted, rejectionReason, refreshTimes } from '../support/refresh-tokens.ts';
import { atOnce } from '../support/workers.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ REFRESH_GRACE_PERIOD: '30s', TRUST_PROXY: '1' });
});
afterAll(() => app.close());

const from = (ip: string, token: string) =>
  app.call('post', '/refresh', { body: { refresh_token: token }, headers: { 'x-forwarded-for': ip } });

/** A session that was rotated, with all its tokens. Their grace periods have ended. */
async function rotatedLongAgo(rotations: number) {
  const account = await app.register();
  const tokens = await refreshTimes(app, account.refresh_token, rotations);
  await app.db.sessions.age(60, account.session_id);
  return { ...account, tokens, latest: tokens.at(-1) ?? '' };
}

test('reuse revokes the session, its latest refresh token and its access tokens (invariant 4)', async () => {
  const { tokens, latest, access_token: access } = await rotatedLongAgo(3);
  expect((await app.get('/me', access)).status).toBe(200);
  expect(rejectionReason(await app.refresh(tokens[0] ?? ''))).toBe('reused');
  expect(rejectionReason(await app.refresh(latest))).toBe('revoked');
  expect((await app.get('/me', access)).status).toBe(401);
});

test('the revocation and its audit event are committed although the request is refused (invariant 5)', async () => {
  const { tokens, session_id: id, user } = await rotatedLongAgo(2);
  expect(rejectionReason(await from('203.0.113.9', tokens[1] ?? ''))).toBe('reused');
  expect((await app.db.sessions.get(id)).revokedReason).toBe('reuse_detected');
  expect(await app.db.audit.refreshesOf(id)).toEqual([
    { type: 'refresh_token.reused', outcome: 'failure', userId: user.id, ip: '203.0.113.9' },
  ]);
});

test('ten concurrent reuses revoke the session once and write one event (invariant 5)', async () => {
  const { tokens, session_id: id } = await rotatedLongAgo(2);
  const reasons = (await atOnce(10, () => app.refresh(tokens[0] ?? ''))).map(rejectionReason);
  expect(reasons.filter((reason) => reason !== 'reused' && reason !== 'revoked')).toEqual([]);
  const events = await app.db.audit.refreshesOf(id);
  expect(events.filter(({ type }) => type === 'refresh_token.reused')).toHaveLength(1);
});

test('reuse does not affect other sessions of the user or of other users (invariant 5)', async () => {
  const { email, tokens, latest } = await rotatedLongAgo(2);
  const other = granted(await app.login(email));
  const stranger = await app.register();
  expect(rejectionReason(await app.refresh(tokens[0] ?? ''))).toBe('reused');
  expect(rejectionReason(await app.refresh(latest))).toBe('revoked');
  granted(await app.refresh(other));
  granted(await app.refresh(stranger.refresh_token));
});

test('a token that is older than all rotations of the row is reuse, although its rotation is not stored (invariant 4)', async () => {
  const { tokens, latest, session_id: id } = await rotatedLongAgo(8);
  const [, newer = ''] = await refreshTimes(app, latest, 8);
  expect(await app.db.sessions.get(id)).toMatchObject({ generation: 16, rotations: 8 });
  expect(rejectionReason(await app.refresh(tokens[3] ?? ''))).toBe('reused');
  expect(rejectionReason(await app.refresh(newer))).toBe('revoked');
});

test('repeated presentations of the tokens of a reused session write one more audit event (invariant 5)', async () => {
  const { tokens, session_id: id } = await rotatedLongAgo(3);
  expect(rejectionReason(await app.refresh(tokens[0] ?? ''))).toBe('reused');
  const responses = await atOnce(40, (index) => app.refresh(tokens[index % tokens.length] ?? ''));
  expect(new Set(responses.map(rejectionReason))).toEqual(new Set(['revoked']));
  const events = await app.db.audit.refreshesOf(id);
  expect(events.map(({ type }) => type)).toEqual(['refresh_token.reused', 'refresh_token.refused']);
});

test.each([
  ['revoked', (id: string) => app.db.sessions.revoke(id, 'logout')],
  ['expired', (id: string) => app.db.sessions.expire(id)],
])('repeated presentations of the tokens of a session that is %s write one audit event', async (reason, end) => {
  const { tokens, session_id: id, user } = await rotatedLongAgo(2);
  await end(id);
  const first = await from('203.0.113.9', tokens[2] ?? '');
  expect(rejectionReason(first)).toBe(reason);
  const responses = await atOnce(40, (index) => app.refresh(tokens[index % tokens.length] ?? ''));
  expect(new Set(responses.map(rejectionReason))).toEqual(new Set([reason]));
  expect(await app.db.audit.refreshesOf(id)).toEqual([
    { type: 'refresh_token.refused', outcome: 'failure', userId: user.id, ip: '203.0.113.9' },
  ]);
});

test('after the database was restored, newer tokens are refused without revoking the session, and the restored one works (invariant 4)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await app.refresh(first));
  const backup = await app.db.sessions.snapshot(id);
  const [, third = '', fourth = ''] = await refreshTimes(app, second, 2);
  await app.db.sessions.restore(id, backup);

  for (const ahead of [third, fourth]) expect(rejectionReason(await app.refresh(ahead))).toBe('unknown_session');
  expect((await app.db.sessions.get(id)).revokedReason).toBeNull();
  const otherThird = granted(await app.refresh(second));
  expect(otherThird).not.toBe(third);

  // `third` now has the row's generation but another hash. After the next rotation it is within a grace period but not in the chain.
  expect(rejectionReason(await app.refresh(third))).toBe('unknown_session');
  const otherFourth = granted(await app.refresh(otherThird));
  expect(rejectionReason(await app.refresh(third))).toBe('unknown_session');
  expect((await app.db.sessions.get(id)).revokedReason).toBeNull();
  granted(await app.refresh(otherFourth));
});

test('a genuine token of a deleted session is refused as unknown_session', async () => {
  const { refresh_token: token, session_id: id } = await app.register();
  await app.db.sessions.remove(id);
  expect(rejectionReason(await app.refresh(token))).toBe('unknown_session');
});

test('a replay is audited if it comes from another /24 network (invariant 4)', async () => {
  const { refresh_token: spent, session_id: id, user } = await app.register();
  const successor = granted(await from('203.0.113.5', spent));
  expect(granted(await from('203.0.113.77', spent))).toBe(successor);
  expect(await app.db.audit.refreshesOf(id)).toEqual([]);

  expect(granted(await from('203.0.112.5', spent))).toBe(successor);
  expect(await app.db.audit.refreshesOf(id)).toEqual([
    { type: 'refresh_token.replayed_elsewhere', outcome: 'success', userId: user.id, ip: '203.0.112.5' },
  ]);
});

test('repeated replays of a token from another network are audited once', async () => {
  const { refresh_token: spent, session_id: id } = await app.register();
  const successor = granted(await from('203.0.113.5', spent));
  const replays = await Promise.all(Array.from({ length: 20 }, () => from('203.0.112.5', spent)));
  expect(new Set(replays.map(granted))).toEqual(new Set([successor]));
  expect(await app.db.audit.refreshesOf(id)).toHaveLength(1);
});

test('a first rejectionReason and the deletion of the account do not deadlock', async () => {
  for (let round = 0; round < 10; round += 1) {
    const account = await app.register();
    await app.call('post', '/logout', { body: { refresh_token: account.refresh_token } });
    const { body } = await app.login(account.email);
    const [, deleted] = await Promise.all([
      app.refresh(account.refresh_token),
      app.post('/me/delete', { current_password: password }, body.access_token),
    ]);
    expect(deleted.status).toBe(204);
  }
});

test('a rotation from another network is not audited', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await from('203.0.113.5', first));
  granted(await from('198.51.100.7', second));
  expect(await app.db.audit.refreshesOf(id)).toEqual([]);
});
