// Invariant 8: after any lost message, the client sends the same token again and continues.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import { startApp } from '../harness.ts';
import { createDatabase } from '../support/database.ts';
import { generationOf, granted, refreshTimes } from '../support/refresh-tokens.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/tcp-proxy.ts';
import { startWorkers, type Workers } from '../support/workers.ts';

/** Statements of jobs, and of the checks of Postgres and of the schema. */
const backgroundStatement = /^\s*DELETE FROM|transaction_read_only|pg_index|migrations/;
const rotationStatement = /UPDATE sessions AS s\s+SET expires_at/;

/** The first process connects to Postgres through the proxy, the second directly. */
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

test('a rotation is one statement in one round trip without a transaction', async () => {
  const { refresh_token: first } = await workers.first.register();
  const second = granted(await workers.first.refresh(first));
  const before = proxy.statements.length;
  await refreshTimes(workers.first, second, 7);
  const executed = proxy.statements.slice(before).filter((text) => !backgroundStatement.test(text));
  expect(executed).toHaveLength(7);
  expect(executed.filter((text) => rotationStatement.test(text))).toHaveLength(7);
});

test('a replay runs one more statement, which only reads', async () => {
  const { refresh_token: spent } = await workers.first.register();
  granted(await workers.first.refresh(spent));
  const before = proxy.statements.length;
  granted(await workers.first.refresh(spent));
  const [update = '', select = '', ...others] = proxy.statements
    .slice(before)
    .filter((text) => !backgroundStatement.test(text));
  expect(update).toMatch(rotationStatement);
  expect(select).toMatch(/^\s*SELECT/);
  expect(others).toEqual([]);
});

test('if the response of the database is lost after the commit, the client gets 503 and the retry returns the successor (invariant 8)', async () => {
  const { refresh_token: token, session_id: id } = await workers.first.register();
  const committed = proxy.withholdResponse(rotationStatement);
  const pending = workers.first.refresh(token).then(expectRepeatable);
  const { tag, cut } = await committed;
  expect(tag).toBe('UPDATE 1');
  cut();
  await pending;
  expect(await workers.db.sessions.get(id)).toMatchObject({ generation: 1, revokedReason: null });
  expect(generationOf(granted(await workers.first.refresh(token)))).toBe(1);
});

test('if the statement is lost on its way to the database, the client gets 503 and the retry rotates (invariant 8)', async () => {
  const { refresh_token: token, session_id: id } = await workers.first.register();
  const lost = proxy.withholdStatement(rotationStatement);
  const pending = workers.first.refresh(token).then(expectRepeatable);
  (await lost).cut();
  await pending;
  expect(await workers.db.sessions.get(id)).toMatchObject({ generation: 0, revokedReason: null });
  expect(generationOf(granted(await workers.first.refresh(token)))).toBe(1);
});

test('if the connection is cut while the statement runs, the client gets 503 and the retry succeeds (invariant 8)', async () => {
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

test('a refresh that does not get its lock in time returns 503, and the retry rotates (invariant 8)', async () => {
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

test('a refresh returns 503 while the database is unavailable, and the token is valid afterwards (invariant 8)', async () => {
  const database = await createDatabase();
  const route = await startPostgresProxy(database.url);
  const settings = { MASTER_KEYS: randomBytes(32).toString('base64url') };
  const [cutOff, connected] = [
    await startApp(settings, { databaseUrl: route.url }),
    await startApp(settings, { databaseUrl: database.url }),
  ];
  try {
    const { refresh_token: token } = await cutOff.register();
    await route.close();
    for (let tries = 0; tries < 3; tries += 1) expectRepeatable(await cutOff.refresh(token));
    expect(generationOf(granted(await connected.refresh(token)))).toBe(1);
  } finally {
    await Promise.all([cutOff.close(), connected.close()]);
    await database.drop();
  }
});

test('if the process is killed after the commit, a retry at another process returns the successor (invariant 8)', async () => {
  const { refresh_token: token, session_id: id } = await workers.first.register();
  const committed = proxy.withholdResponse(rotationStatement);
  const outcome = workers.first.refresh(token).then(
    ({ status }) => `status ${status}`,
    () => 'no response',
  );
  expect((await committed).tag).toBe('UPDATE 1');
  await workers.first.kill();
  expect(await outcome).toBe('no response');

  expect((await workers.db.sessions.get(id)).generation).toBe(1);
  const successor = granted(await workers.second.refresh(token));
  expect(generationOf(successor)).toBe(1);
  expect(generationOf(granted(await workers.second.refresh(successor)))).toBe(2);
});
