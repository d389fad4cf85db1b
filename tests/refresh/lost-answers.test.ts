// Invariant 8: whatever is lost on the way, the client repeats the same token, and goes on.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import { startApp } from '../harness.ts';
import { createDatabase } from '../support/database.ts';
import { generationOf, granted, turnTimes } from '../support/refresh-tokens.ts';
import { readSession } from '../support/session-rows.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/tcp-proxy.ts';
import { startWorkers, type Workers } from '../support/workers.ts';

const theTurn = /UPDATE sessions AS s\s+SET expires_at/;

/** The first process reaches Postgres through the proxy, the second directly. */
let workers: Workers;
let proxy: PostgresProxy;
beforeAll(async () => {
  workers = await startWorkers({
    settings: { DATABASE_TIMEOUT: '1s' },
    firstThrough: async (databaseUrl) => {
      proxy = await startPostgresProxy(databaseUrl);
      return proxy.url;
    },
  });
}, 30_000);
afterAll(async () => {
  await workers.close();
  await proxy.close();
});

function expectRepeatable(response: Response): void {
  expect(response.status).toBe(503);
  expect(response.body).toMatchObject({ code: 'not_ready' });
  expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
}

test('a turn is one statement in one round trip, without a transaction around it', async () => {
  const { refresh_token: first } = await workers.first.register();
  const second = granted(await workers.first.refresh(first));
  const before = proxy.statements.length;
  await turnTimes(workers.first, second, 10);
  const made = proxy.statements.slice(before);
  expect(made).toHaveLength(10);
  expect(made.filter((text) => theTurn.test(text))).toHaveLength(10);
});

test('a replay makes one statement more, which only reads', async () => {
  const { refresh_token: spent } = await workers.first.register();
  granted(await workers.first.refresh(spent));
  const before = proxy.statements.length;
  granted(await workers.first.refresh(spent));
  const [turn = '', look = '', ...others] = proxy.statements.slice(before);
  expect(turn).toMatch(theTurn);
  expect(look).toMatch(/^\s*SELECT/);
  expect(others).toEqual([]);
});

test('an answer of the database that is lost after the commit is 503, and the repeat gets the successor (invariant 8)', async () => {
  const { refresh_token: token, session_id: id } = await workers.first.register();
  const committed = proxy.withholdAnswer(theTurn);
  const pending = workers.first.refresh(token).then(expectRepeatable);
  const { tag, cut } = await committed;
  expect(tag).toBe('UPDATE 1');
  cut();
  await pending;
  expect(await readSession(workers.sql, id)).toMatchObject({ generation: 1, revokedReason: null });
  expect(generationOf(granted(await workers.first.refresh(token)))).toBe(1);
});

test('a statement that is lost before it reached the database is 503, and the repeat turns (invariant 8)', async () => {
  const { refresh_token: token, session_id: id } = await workers.first.register();
  const lost = proxy.withholdStatement(theTurn);
  const pending = workers.first.refresh(token).then(expectRepeatable);
  (await lost).cut();
  await pending;
  expect(await readSession(workers.sql, id)).toMatchObject({ generation: 0, revokedReason: null });
  expect(generationOf(granted(await workers.first.refresh(token)))).toBe(1);
});

test('a connection that is cut while the statement runs is 503, and the repeat goes on (invariant 8)', async () => {
  const { refresh_token: token, session_id: id } = await workers.first.register();
  const blocker = await workers.sql.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query('SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE', [id]);
    const pending = workers.first.refresh(token);
    await sleep(200);
    const { rows } = await workers.sql.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%SET expires_at%'`,
    );
    expect(rows).toHaveLength(1);
    expectRepeatable(await pending);
    await blocker.query('COMMIT');
  } finally {
    blocker.release();
  }
  granted(await workers.first.refresh(token));
});

test('a turn that does not get its lock in time is 503, and the repeat turns (invariant 8)', async () => {
  const { refresh_token: token, session_id: id } = await workers.first.register();
  const blocker = await workers.sql.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query('SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE', [id]);
    expectRepeatable(await workers.first.refresh(token));
    await blocker.query('COMMIT');
  } finally {
    blocker.release();
  }
  expect(generationOf(granted(await workers.first.refresh(token)))).toBe(1);
});

test('while the database is away a refresh is 503, never 401, and the token is good afterwards (invariant 8)', async () => {
  const database = await createDatabase();
  const road = await startPostgresProxy(database.url);
  const settings = { MASTER_KEYS: randomBytes(32).toString('base64url') };
  const [cutOff, connected] = [
    await startApp(settings, { databaseUrl: road.url }),
    await startApp(settings, { databaseUrl: database.url }),
  ];
  try {
    const { refresh_token: token } = await cutOff.register();
    await road.close();
    for (let tries = 0; tries < 3; tries += 1) expectRepeatable(await cutOff.refresh(token));
    expect(generationOf(granted(await connected.refresh(token)))).toBe(1);
  } finally {
    await Promise.all([cutOff.close(), connected.close()]);
    await database.drop();
  }
});

test('a process killed after the commit and before the answer: the repeat at another gets the successor (invariant 8)', async () => {
  const { refresh_token: token, session_id: id } = await workers.first.register();
  const committed = proxy.withholdAnswer(theTurn);
  const answer = workers.first.refresh(token).then(
    ({ status }) => `answered ${status}`,
    () => 'no answer',
  );
  expect((await committed).tag).toBe('UPDATE 1');
  await workers.first.kill();
  expect(await answer).toBe('no answer');

  expect((await readSession(workers.sql, id)).generation).toBe(1);
  const successor = granted(await workers.second.refresh(token));
  expect(generationOf(successor)).toBe(1);
  expect(generationOf(granted(await workers.second.refresh(successor)))).toBe(2);
});
