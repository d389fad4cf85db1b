// Invariants 3 and 4: how long a spent token still returns the current token.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { generationOf, granted, refreshTimes, rejectionReason } from '../support/refresh-tokens.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ REFRESH_GRACE_PERIOD: '30s' });
});
afterAll(() => app.close());

test('a retry within the grace period returns the same successor and writes nothing (invariant 3)', async () => {
  const { refresh_token: spent, session_id: id } = await app.register();
  const successor = granted(await app.refresh(spent));
  const before = await app.db.sessions.get(id);
  for (let tries = 0; tries < 3; tries += 1) expect(granted(await app.refresh(spent))).toBe(successor);
  expect(await app.db.sessions.get(id)).toEqual(before);
  expect(generationOf(successor)).toBe(1);
});

test('a token is replayed 28 seconds after its rotation and is reuse after 30 seconds (invariant 3)', async () => {
  const { refresh_token: spent, session_id: id } = await app.register();
  const successor = granted(await app.refresh(spent));
  await app.db.sessions.age(28, id);
  expect(granted(await app.refresh(spent))).toBe(successor);
  await app.db.sessions.age(2, id);
  expect(rejectionReason(await app.refresh(spent))).toBe('reused');
});

test('a rotation late in the grace period of another one has its own full grace period (invariant 3)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await app.refresh(first));
  await app.db.sessions.age(28, id);
  const third = granted(await app.refresh(second));
  expect(granted(await app.refresh(first))).toBe(third);
  await app.db.sessions.age(28, id);
  expect(granted(await app.refresh(second))).toBe(third);
});

test("a later rotation does not extend the grace period of its predecessor's token (invariant 3)", async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await app.refresh(first));
  await app.db.sessions.age(20, id);
  await refreshTimes(app, second, 2);
  await app.db.sessions.age(10, id);
  expect(rejectionReason(await app.refresh(first))).toBe('reused');
});

test('a rotation after the grace period of the last one starts its own (invariant 3)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await app.refresh(first));
  await app.db.sessions.age(31, id);
  const third = granted(await app.refresh(second));
  expect(granted(await app.refresh(second))).toBe(third);
  expect(rejectionReason(await app.refresh(first))).toBe('reused');
});

test('tokens up to eight generations old return the current token within their own grace periods (invariant 4)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const tokens = await refreshTimes(app, first, 8);
  await app.db.sessions.setRotationAges(id, 1, 4, 8, 12, 16, 20, 24, 28);
  for (const token of tokens.slice(0, -1)) expect(granted(await app.refresh(token))).toBe(tokens.at(-1));
});

test('of several older tokens, only the one whose grace period has ended is reuse (invariant 4)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const tokens = await refreshTimes(app, first, 5);
  await app.db.sessions.setRotationAges(id, 5, 15, 25, 31, 40);
  expect(granted(await app.refresh(tokens[2] ?? ''))).toBe(tokens[5]);
  expect(rejectionReason(await app.refresh(tokens[1] ?? ''))).toBe('reused');
});

test('the row keeps the same number of rotation times and salts, maximum eight (invariant 3)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  let latest = first;
  for (let rotations = 1; rotations <= 12; rotations += 1) {
    await app.db.sessions.age(4, id);
    latest = granted(await app.refresh(latest));
    const kept = Math.min(rotations, 8);
    expect(await app.db.sessions.get(id)).toMatchObject({ generation: rotations, rotations: kept, salts: kept });
  }
  await app.db.sessions.age(31, id);
  await app.refresh(latest);
  expect(await app.db.sessions.get(id)).toMatchObject({ generation: 13, rotations: 1, salts: 1 });
});

test('replays do not extend a grace period (invariant 3)', async () => {
  const { refresh_token: spent, session_id: id } = await app.register();
  const successor = granted(await app.refresh(spent));
  for (let times = 0; times < 2; times += 1) {
    await app.db.sessions.age(10, id);
    expect(granted(await app.refresh(spent))).toBe(successor);
  }
  await app.db.sessions.age(11, id);
  expect(rejectionReason(await app.refresh(spent))).toBe('reused');
  expect(rejectionReason(await app.refresh(successor))).toBe('revoked');
});

describe('with REFRESH_GRACE_PERIOD=0', () => {
  let strict: TestApp;
  beforeAll(async () => {
    strict = await startApp({ REFRESH_GRACE_PERIOD: '0' });
  });
  afterAll(() => strict.close());

  test('the number of rotations is not limited', async () => {
    const { refresh_token: first, session_id: id } = await strict.register();
    expect(new Set(await refreshTimes(strict, first, 20)).size).toBe(21);
    expect(await strict.db.sessions.get(id)).toMatchObject({ generation: 20, rotations: 1, salts: 1 });
  });

  test('the second use of a token is reuse', async () => {
    const { refresh_token: spent } = await strict.register();
    const successor = granted(await strict.refresh(spent));
    expect(rejectionReason(await strict.refresh(spent))).toBe('reused');
    expect(rejectionReason(await strict.refresh(successor))).toBe('revoked');
  });
});
