// What a client notices when Postgres restarts, is busy or is down for a short time.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import pino from 'pino';
import { makeAvailability } from '../../src/platform/postgres/pool/availability.ts';
import { causeOf, type PoolError } from '../../src/platform/postgres/pool/causes.ts';
import { WaitQueue } from '../../src/platform/postgres/pool/wait-queue.ts';
import { openPool } from '../../src/platform/postgres/pool.ts';
import { type Account, startApp, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type Gate, startGate } from './gate.ts';

jest.setTimeout(60_000);

const poolMax = 3;
let database: TestDatabase;
let gate: Gate;
let app: TestApp;
let ada: Account;
const lines: { msg: string; cause?: string; code?: string }[] = [];
beforeAll(async () => {
  database = await createDatabase();
  gate = await startGate(database.url);
  app = await startApp(
    { DATABASE_TIMEOUT: '20s', DATABASE_POOL_MAX: String(poolMax) },
    { databaseUrl: gate.url, log: pino({ level: 'info' }, { write: (line) => void lines.push(JSON.parse(line)) }) },
  );
  ada = await app.register();
});
afterAll(async () => {
  await app.close();
  await gate.close();
  await database.drop();
});

const me = () => app.get('/me', ada.access_token).then(({ status }) => status);
const requests = (count: number) => Promise.all(Array.from({ length: count }, me));
const warnings = () => lines.filter(({ msg }) => msg === 'the database is unavailable');

test('requests wait while connections are refused, and succeed when Postgres accepts them again', async () => {
  await requests(10);
  gate.refuse();
  // The first requests may still meet a connection that has just ended: their outcome is unknown.
  const early = [];
  for (; gate.refused() === 0; await sleep(5)) early.push(me());
  const waiting = requests(50);
  const refusedBefore = gate.refused();
  while (gate.refused() < refusedBefore + 3) await sleep(5); // tried again, while the requests wait
  expect(warnings().length).toBeLessThanOrEqual(2);
  gate.open();
  expect(new Set(await waiting)).toEqual(new Set([200]));
  await Promise.all(early);
});

test('many waiting requests cause one attempt to connect at a time', async () => {
  await requests(10);
  gate.refuse();
  for (; gate.refused() === 0; await sleep(5)) void me();
  const before = gate.refused();
  const startedMs = performance.now();
  const waiting = requests(200);
  while (gate.refused() < before + 5) await sleep(5);
  const elapsedMs = performance.now() - startedMs;
  // One attempt per 20 ms or more, not one per request.
  expect(gate.refused() - before).toBeLessThanOrEqual(elapsedMs / 20 + 2);
  gate.open();
  expect(new Set(await waiting)).toEqual(new Set([200]));
});

test('a statement that Postgres rolled back because an administrator ended its connection is repeated', async () => {
  const blocker = await app.sql.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE');
    const pending = me();
    const waiting = `SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'keyturn' AND wait_event_type = 'Lock'`;
    let pid: unknown;
    while (pid === undefined) pid = (await blocker.query<{ pid: number }>(waiting)).rows[0]?.pid;
    await blocker.query('SELECT pg_terminate_backend($1)', [pid]);
    await blocker.query('ROLLBACK');
    expect(await pending).toBe(200);
  } finally {
    blocker.release(true);
  }
});

test('an error of a statement leaves the connection in the pool', async () => {
  const connections = async () =>
    (
      await app.sql.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'keyturn' ORDER BY pid`,
      )
    ).rows;
  await requests(20);
  const before = await connections();
  for (let i = 0; i < 5; i += 1) {
    const taken = { email: ada.email, password: 'correct horse battery', display_name: 'Eve' };
    expect((await app.post('/register', taken)).status).toBe(409);
  }
  expect(await connections()).toEqual(expect.arrayContaining(before)); // more may have been opened meanwhile
});

test('waiting for a connection and the statement on it share one deadline', async () => {
  const timeoutSeconds = 3;
  const pool = openPool({ url: database.url, poolMax: 1, timeoutSeconds, pooled: false });
  try {
    await pool.query('SELECT 1');
    const events: string[] = [];
    const busy = pool.query(`SELECT pg_sleep(${timeoutSeconds * 0.6})`);
    const waiting = pool.query('SELECT pg_sleep(60)').catch(({ why, code }: PoolError & { code?: string }) => {
      events.push(why ?? String(code));
    });
    // With two deadlines, it would have 1.6 times the timeout.
    const later = sleep(timeoutSeconds * 1400).then(() => events.push('1.4 times the timeout'));
    await Promise.all([busy, waiting, later]);
    expect(events).toEqual(['no_response', '1.4 times the timeout']); // it got the connection, and gave it up
  } finally {
    await pool.end();
  }
});

test('beyond 5,000 callers that wait for a connection, each is refused immediately', () => {
  const failures: unknown[] = [];
  const queue = new WaitQueue(60_000, makeAvailability({ log: { warn() {}, info() {} }, countError() {} }));
  const add = (count: number) => {
    const waiter = { startedMs: performance.now(), use() {}, fail: (error: Error) => void failures.push(error) };
    for (let added = 0; added < count; added += 1) queue.add({ ...waiter }, () => undefined);
  };
  add(5000);
  expect([queue.size, failures]).toEqual([5000, []]);
  add(2);
  const refused = expect.objectContaining({ why: 'pool_exhausted', message: expect.stringContaining('too many') });
  expect([queue.size, failures]).toEqual([5000, [refused, refused]]);
  queue.take();
  add(1);
  expect([queue.size, failures.length]).toEqual([5000, 2]);
  queue.refuseAll(new Error('the end of the test'));
});

test('each cause of an outage is logged once, with its code and what to do, and its end with the counts', () => {
  let nowMs = 0;
  const logged: unknown[] = [];
  const counted: string[] = [];
  const availability = makeAvailability({
    log: {
      warn: (facts: object) => void logged.push(facts),
      info: (facts: object) => void logged.push(facts),
    } as never,
    countError: (cause) => void counted.push(cause),
    nowMs: () => nowMs,
  });
  const diskFull = Object.assign(new Error('could not extend file'), { code: '53100' });
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  for (const error of [diskFull, diskFull, refused, diskFull]) availability.failed(error);
  availability.failed(Object.assign(new Error('duplicate key'), { code: '23505' }));
  availability.succeeded(); // too early: other statements may still fail
  nowMs += 1200;
  availability.failed(refused);
  nowMs += 5000;
  availability.succeeded();
  availability.succeeded(); // logs nothing
  expect(logged).toEqual([
    expect.objectContaining({ cause: 'disk_full', code: '53100', advice: expect.stringContaining('disk') }),
    expect.objectContaining({ cause: 'connection_refused', code: 'ECONNREFUSED' }),
    { errors: { disk_full: 3, connection_refused: 2 }, seconds: 1.2 },
  ]);
  expect(counted).toHaveLength(5);
});

test.each([
  ['53100', 'disk_full'],
  ['53300', 'too_many_connections'],
  ['55P03', 'lock_timeout'],
  ['57014', 'statement_timeout'],
  ['57P01', 'restarting'],
  ['57P03', 'restarting'],
  ['25006', 'read_only'],
  ['28P01', 'access_denied'],
  ['58030', 'io_error'],
  ['08006', 'connection_lost'],
  ['ECONNREFUSED', 'connection_refused'],
  ['ECONNRESET', 'connection_lost'],
  ['ENOTFOUND', 'unreachable'],
  ['CERT_HAS_EXPIRED', 'tls'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'tls'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls'],
  ['23505', undefined],
  ['42601', undefined],
])('the cause of %s is %s', (code, cause) => {
  expect(causeOf(Object.assign(new Error('message'), { code }))).toBe(cause);
});
