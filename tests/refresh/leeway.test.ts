// Invariants 3 and 4: how long, and for what, a token that was turned away still gets an answer.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { granted, generationOf, refusal, turnTimes } from '../support/refresh-tokens.ts';
import { letPass, readSession, setTurnAges } from '../support/session-rows.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ REFRESH_GRACE_PERIOD: '30s' });
});
afterAll(() => app.close());

const retry = (token: string) => app.refresh(token);

test('a retry inside the leeway gets the same successor, and writes nothing (invariant 3)', async () => {
  const { refresh_token: spent, session_id: id } = await app.register();
  const successor = granted(await retry(spent));
  const before = await readSession(app.sql, id);
  for (let tries = 0; tries < 3; tries += 1) expect(granted(await retry(spent))).toBe(successor);
  expect(await readSession(app.sql, id)).toEqual(before);
  expect(generationOf(successor)).toBe(1);
});

test('the leeway lasts as long as it is set to, and not longer (invariant 3)', async () => {
  const { refresh_token: spent, session_id: id } = await app.register();
  const successor = granted(await retry(spent));
  await letPass(app.sql, 28, [id]);
  expect(granted(await retry(spent))).toBe(successor);
  await letPass(app.sql, 2, [id]);
  expect(refusal(await retry(spent))).toBe('reused');
});

test('a turn late in the leeway of another still has its own whole leeway (invariant 3)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await retry(first));
  await letPass(app.sql, 28, [id]);
  const third = granted(await retry(second));
  expect(granted(await retry(first))).toBe(third);
  await letPass(app.sql, 28, [id]);
  expect(granted(await retry(second))).toBe(third);
});

test("a turn in its leeway does not extend its predecessor's (invariant 3)", async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await retry(first));
  await letPass(app.sql, 20, [id]);
  await turnTimes(app, second, 2);
  await letPass(app.sql, 10, [id]);
  expect(refusal(await retry(first))).toBe('reused');
});

test('a turn after the leeway of another begins its own (invariant 3)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const second = granted(await retry(first));
  await letPass(app.sql, 31, [id]);
  const third = granted(await retry(second));
  expect(granted(await retry(second))).toBe(third);
  expect(refusal(await retry(first))).toBe('reused');
});

test('each of several generations back gets the current token while its own leeway runs (invariant 4)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const tokens = await turnTimes(app, first, 8);
  await setTurnAges(app.sql, id, [1, 4, 8, 12, 16, 20, 24, 28]);
  for (const token of tokens.slice(0, -1)) expect(granted(await retry(token))).toBe(tokens.at(-1));
});

test('of several generations back the one whose leeway is over is reuse (invariant 4)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  const tokens = await turnTimes(app, first, 5);
  await setTurnAges(app.sql, id, [5, 15, 25, 31, 40]);
  expect(granted(await retry(tokens[2] ?? ''))).toBe(tokens[5]);
  expect(refusal(await retry(tokens[1] ?? ''))).toBe('reused');
});

test('times and salts of turns are kept and cut together, at most eight (invariant 3)', async () => {
  const { refresh_token: first, session_id: id } = await app.register();
  let newest = first;
  for (let turns = 1; turns <= 12; turns += 1) {
    newest = granted(await retry(newest));
    expect(await readSession(app.sql, id)).toMatchObject({ turns: Math.min(turns, 8), salts: Math.min(turns, 8) });
  }
  await letPass(app.sql, 31, [id]);
  await retry(newest);
  expect(await readSession(app.sql, id)).toMatchObject({ turns: 1, salts: 1, generation: 13 });
});

test('replayed again and again, a token dies on time by the clock on the wall (invariant 3)', async () => {
  const hasty = await startApp({ REFRESH_GRACE_PERIOD: '2s' });
  try {
    const { refresh_token: spent } = await hasty.register();
    const turnedMs = performance.now();
    const successor = granted(await hasty.refresh(spent));
    while (performance.now() - turnedMs < 1600) {
      expect(granted(await hasty.refresh(spent))).toBe(successor);
      await sleep(300);
    }
    await sleep(turnedMs + 2100 - performance.now());
    expect(refusal(await hasty.refresh(spent))).toBe('reused');
    expect(refusal(await hasty.refresh(successor))).toBe('revoked');
  } finally {
    await hasty.close();
  }
});

describe('with a leeway of 0', () => {
  let strict: TestApp;
  beforeAll(async () => {
    strict = await startApp({ REFRESH_GRACE_PERIOD: '0' });
  });
  afterAll(() => strict.close());

  test('a session turns as ever', async () => {
    const { refresh_token: first, session_id: id } = await strict.register();
    await turnTimes(strict, first, 4);
    expect(await readSession(strict.sql, id)).toMatchObject({ generation: 4, turns: 1, salts: 1 });
  });

  test('the second use of a token is reuse at once', async () => {
    const { refresh_token: spent } = await strict.register();
    const successor = granted(await strict.refresh(spent));
    expect(refusal(await strict.refresh(spent))).toBe('reused');
    expect(refusal(await strict.refresh(successor))).toBe('revoked');
  });
});
