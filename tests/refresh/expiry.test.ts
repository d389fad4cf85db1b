// Invariant 9: the database decides idle and absolute expiry.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { granted, rejectionReason, refreshTimes } from '../support/refresh-tokens.ts';

const day = 86_400;
let app: TestApp;
beforeAll(async () => {
  app = await startApp({ REFRESH_TTL: '7d', SESSION_TTL: '30d', REFRESH_GRACE_PERIOD: '30s' });
});
afterAll(() => app.close());

test('a session expires REFRESH_TTL after its last rotation (invariant 9)', async () => {
  const { refresh_token: token, session_id: id } = await app.register();
  await app.db.sessions.age(7 * day - 10, id);
  const latest = granted(await app.refresh(token));
  await app.db.sessions.age(7 * day, id);
  expect(rejectionReason(await app.refresh(latest))).toBe('expired');
});

test('a session expires SESSION_TTL after its login, however often it is rotated (invariant 9)', async () => {
  const account = await app.register();
  const { session_id: id, access_token: access } = account;
  const { absoluteExpiresAt: end } = await app.db.sessions.get(id);
  let latest = account.refresh_token;
  for (let days = 6; days < 30; days += 6) {
    await app.db.sessions.age(6 * day, id);
    const { absoluteExpiresAt: before } = await app.db.sessions.get(id);
    latest = granted(await app.refresh(latest));
    expect((await app.db.sessions.get(id)).absoluteExpiresAt).toEqual(before);
    expect(before.getTime()).toBe(end.getTime() - days * day * 1000);
  }
  expect((await app.get('/me', access)).status).toBe(200);
  await app.db.sessions.age(6 * day, id);
  expect((await app.db.sessions.get(id)).expiresAt.getTime()).toBeGreaterThan(Date.now());
  expect(rejectionReason(await app.refresh(latest))).toBe('expired');
  expect((await app.get('/me', access)).status).toBe(401);
});

test.each(['expire', 'expireAbsolutely'] as const)(
  'a refresh is refused one millisecond after its expiry: %s (invariant 9)',
  async (expire) => {
    const { refresh_token: token, session_id: id } = await app.register();
    await app.db.sessions[expire](id, -0.001);
    const before = await app.db.sessions.get(id);
    expect(rejectionReason(await app.refresh(token))).toBe('expired');
    // Only the rejection was recorded.
    expect(await app.db.sessions.get(id)).toEqual({ ...before, version: expect.any(String) });
  },
);

test('refresh_expires_in is REFRESH_TTL, or the time until the absolute expiry if that is shorter (invariant 9)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const expiresIn = async (token: string) => {
    const response = await app.refresh(token);
    return [granted(response), (response.body as { refresh_expires_in: number }).refresh_expires_in] as const;
  };
  const [second, whole] = await expiresIn(first);
  expect(whole).toBeGreaterThan(7 * day - 5);
  expect(whole).toBeLessThanOrEqual(7 * day);
  await app.db.sessions.expireAbsolutely(id, 100);
  const [, rest] = await expiresIn(second);
  expect(rest).toBeGreaterThan(90);
  expect(rest).toBeLessThanOrEqual(100);
});

test('the clock of the process does not decide whether a session has expired (invariant 9)', async () => {
  const { refresh_token: token, session_id: id } = await app.register();
  app.clock.step(400 * day);
  const second = granted(await app.refresh(token));
  app.clock.step(-800 * day);
  const third = granted(await app.refresh(second));
  await app.db.sessions.expire(id, -1);
  expect(rejectionReason(await app.refresh(third))).toBe('expired');
  app.clock.step(400 * day);
});

test('a refresh that waits for a lock until after the expiry is refused (invariant 9)', async () => {
  const { refresh_token: token, session_id: id } = await app.register();
  const other = await app.sql.connect();
  try {
    await other.query('BEGIN');
    await other.query(`UPDATE sessions SET expires_at = clock_timestamp() + interval '0.6 s' WHERE id = $1`, [id]);
    const waiting = app.refresh(token).then(rejectionReason);
    await sleep(800);
    await other.query('COMMIT');
    expect(await waiting).toBe('expired');
  } finally {
    other.release();
  }
  expect((await app.db.sessions.get(id)).generation).toBe(0);
});

test('every token of an expired session is refused as expired, and none revokes it (invariant 9)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const tokens = await refreshTimes(app, first, 3);
  await app.db.sessions.age(7 * day, id);
  for (const token of tokens) expect(rejectionReason(await app.refresh(token))).toBe('expired');
  expect((await app.db.sessions.get(id)).revokedReason).toBeNull();
});
