// Invariants 4 and 5: what ends a session, what does not, and what the audit trail says of it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { granted, refusal, turnTimes } from '../support/refresh-tokens.ts';
import { letPass, readSession, refreshEvents, setTurnAges } from '../support/session-rows.ts';
import { atOnce } from '../support/workers.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ REFRESH_GRACE_PERIOD: '30s', TRUST_PROXY: '1' });
});
afterAll(() => app.close());

const from = (ip: string, token: string) =>
  app.call('post', '/refresh', { body: { refresh_token: token }, headers: { 'x-forwarded-for': ip } });

/** A session that has turned, with every token that it had; its leeways are over. */
async function turnedLongAgo(turns: number) {
  const account = await app.register();
  const tokens = await turnTimes(app, account.refresh_token, turns);
  await letPass(app.sql, 60, [account.session_id]);
  return { ...account, tokens, newest: tokens.at(-1) ?? '' };
}

test('reuse ends the session, for the newest token and its access token too (invariant 4)', async () => {
  const { tokens, newest, access_token: access } = await turnedLongAgo(3);
  expect((await app.get('/me', access)).status).toBe(200);
  expect(refusal(await app.refresh(tokens[0] ?? ''))).toBe('reused');
  expect(refusal(await app.refresh(newest))).toBe('revoked');
  expect((await app.get('/me', access)).status).toBe(401);
});

test('the revocation and its audit event are there although the request was refused (invariant 5)', async () => {
  const { tokens, session_id: id, user } = await turnedLongAgo(2);
  expect(refusal(await from('203.0.113.9', tokens[1] ?? ''))).toBe('reused');
  expect((await readSession(app.sql, id)).revokedReason).toBe('reuse_detected');
  expect(await refreshEvents(app.sql, id)).toEqual([
    { type: 'refresh_token.reused', outcome: 'failure', userId: user.id, ip: '203.0.113.9' },
  ]);
});

test('ten thieves at once end the session once (invariant 5)', async () => {
  const { tokens, session_id: id } = await turnedLongAgo(2);
  const reasons = (await atOnce(10, () => app.refresh(tokens[0] ?? ''))).map(refusal);
  expect(reasons.filter((reason) => reason !== 'reused' && reason !== 'revoked')).toEqual([]);
  const events = await refreshEvents(app.sql, id);
  expect(events.filter(({ type }) => type === 'refresh_token.reused')).toHaveLength(1);
});

test('reuse leaves other sessions of the user, and of others, alone (invariant 5)', async () => {
  const { email, tokens, newest } = await turnedLongAgo(2);
  const other = granted(await app.login(email));
  const stranger = await app.register();
  expect(refusal(await app.refresh(tokens[0] ?? ''))).toBe('reused');
  expect(refusal(await app.refresh(newest))).toBe('revoked');
  granted(await app.refresh(other));
  granted(await app.refresh(stranger.refresh_token));
});

test('more than eight behind while the eighth newest turn is inside the leeway: refused, nothing revoked (invariant 4)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const tokens = await turnTimes(app, first, 10);
  const before = await readSession(app.sql, id);
  for (const token of tokens.slice(0, 2)) expect(refusal(await app.refresh(token))).not.toBe('reused');
  expect(await readSession(app.sql, id)).toEqual(before);
  expect(granted(await app.refresh(tokens[2] ?? ''))).toBe(tokens[10]);

  await setTurnAges(app.sql, id, [1, 2, 3, 4, 5, 6, 7, 31]);
  expect(refusal(await app.refresh(tokens[1] ?? ''))).toBe('reused');
});

const backUp = async (id: string) =>
  (await app.sql.query('SELECT generation, token_hash, turned_at, turn_salts FROM sessions WHERE id = $1', [id]))
    .rows[0] as Record<string, unknown>;

const restore = (id: string, row: Record<string, unknown>) =>
  app.sql.query('UPDATE sessions SET generation = $2, token_hash = $3, turned_at = $4, turn_salts = $5 WHERE id = $1', [
    id,
    row['generation'],
    row['token_hash'],
    row['turned_at'],
    row['turn_salts'],
  ]);

test('after the database was restored newer tokens are refused, revoke nothing, and the old one works (invariant 4)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await app.refresh(first));
  const backup = await backUp(id);
  const [, third = '', fourth = ''] = await turnTimes(app, second, 2);
  await restore(id, backup);

  for (const ahead of [third, fourth]) expect(refusal(await app.refresh(ahead))).toBe('unknown_session');
  expect((await readSession(app.sql, id)).revokedReason).toBeNull();
  const otherThird = granted(await app.refresh(second));
  expect(otherThird).not.toBe(third);

  // `third` has the row's generation now, and another hash; a turn later it is off the chain, in its leeway.
  expect(refusal(await app.refresh(third))).toBe('unknown_session');
  const otherFourth = granted(await app.refresh(otherThird));
  expect(refusal(await app.refresh(third))).toBe('unknown_session');
  expect((await readSession(app.sql, id)).revokedReason).toBeNull();
  granted(await app.refresh(otherFourth));
});

test('a genuine token of a session that is gone is an unknown session', async () => {
  const { refresh_token: token, session_id: id } = await app.register();
  await app.sql.query('DELETE FROM sessions WHERE id = $1', [id]);
  expect(refusal(await app.refresh(token))).toBe('unknown_session');
});

test('a replay from another network is audited, from the same /24 it is not (invariant 4)', async () => {
  const { refresh_token: spent, session_id: id, user } = await app.register();
  const successor = granted(await from('203.0.113.5', spent));
  expect(granted(await from('203.0.113.77', spent))).toBe(successor);
  expect(await refreshEvents(app.sql, id)).toEqual([]);

  expect(granted(await from('203.0.112.5', spent))).toBe(successor);
  expect(await refreshEvents(app.sql, id)).toEqual([
    { type: 'refresh_token.replayed_elsewhere', outcome: 'success', userId: user.id, ip: '203.0.112.5' },
  ]);
});

test('a turn from another network is not a replay', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await from('203.0.113.5', first));
  granted(await from('198.51.100.7', second));
  expect(await refreshEvents(app.sql, id)).toEqual([]);
});
