import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import type { Response } from 'supertest';
import { freshEmail, password, startApp, type Account, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { startStatementTap, type StatementTap } from './statement-tap.ts';

jest.setTimeout(30_000);

// Hashes of the default memory, so that one more or one less of them shows in the time.
const settings = { ARGON2_MEMORY_KIB: '65536', ARGON2_ITERATIONS: '2', ARGON2_PARALLELISM: '1' };

let database: TestDatabase;
let tap: StatementTap;
let app: TestApp;
let active: Account;
let disabled: Account;

beforeAll(async () => {
  database = await createDatabase();
  tap = await startStatementTap(database.url);
  app = await startApp(settings, { databaseUrl: tap.url });
  active = await app.register();
  disabled = await app.register();
  await app.sql.query('UPDATE users SET is_active = false WHERE id = $1', [disabled.user.id]);
});
beforeEach(() => tap.reset());
afterAll(async () => {
  await app.close();
  await tap.close();
  await database.drop();
});

const wrong = 'correct horse battery stapler';
const attempts: [string, () => Promise<Response>][] = [
  ['an unknown account', () => app.login(freshEmail())],
  ['a wrong password', () => app.login(active.email, wrong)],
  ['a disabled account with its right password', () => app.login(disabled.email)],
  ['a disabled account with a wrong password', () => app.login(disabled.email, wrong)],
];

/** All that a client sees, less what differs between any two requests. */
function seen({ status, headers, body, text }: Response) {
  const { date: _, 'x-request-id': requestId, ratelimit: __, ...others } = headers as Record<string, string>;
  expect(body.instance).toBe(requestId);
  return { status, headers: others, text: text.replace(body.instance, '…') };
}

test('unknown account, wrong password and disabled account have one answer, to the header', async () => {
  const answers = [];
  for (const [, attempt] of attempts) answers.push(seen(await attempt()));
  const [first] = answers;
  expect(first).toMatchObject({ status: 401, headers: { 'cache-control': 'no-store' } });
  expect(JSON.parse(first?.text ?? '')).toMatchObject({ code: 'invalid_credentials', status: 401, instance: '…' });
  for (const answer of answers) expect(answer).toEqual(first);
});

test('a stored hash that is of no known form refuses like a wrong password', async () => {
  const odd = await app.register();
  const wrongPassword = seen(await app.login(active.email, wrong));
  for (const hash of [
    '',
    '!',
    '*',
    '$scrypt$ln=15,r=8,p=1$aaaa$bbbb',
    '$2x$10$short',
    '$argon2id$v=19$m=65536,t=2,p=1$AAAA',
  ]) {
    await app.sql.query('UPDATE users SET password_hash = $2 WHERE id = $1', [odd.user.id, hash]);
    expect(seen(await app.login(odd.email))).toEqual(wrongPassword);
  }
});

test('they are one to the database: the same statements in the same order', async () => {
  const traces: string[][] = [];
  for (const [, attempt] of attempts) {
    await attempt(); // so that every statement is prepared
    tap.reset();
    await attempt();
    traces.push(tap.statements());
  }
  // The attempt begins; who is it; and in one transaction: it failed, and the event of it.
  expect(traces[0]).toHaveLength(7);
  for (const trace of traces) expect(trace).toEqual(traces[0]);
});

test('they cost the same hash and take about the same time, so that a stopwatch tells no account from none', async () => {
  const times = attempts.map((): number[] => []);
  const costs = attempts.map((): number[] => []);
  for (let round = 0; round < 7; round += 1) {
    for (const [n, [, attempt]] of attempts.entries()) {
      const [started, before] = [performance.now(), process.cpuUsage()];
      await attempt();
      const { user, system } = process.cpuUsage(before);
      times[n]?.push(performance.now() - started);
      costs[n]?.push(user + system);
    }
  }
  const median = (list: number[]) => list.toSorted((a, b) => a - b)[list.length >> 1] ?? Number.NaN;
  const spread = (figures: number[]) => Math.max(...figures) / Math.min(...figures);
  // The least of the processor's time is steady on a busy machine too; one hash more or less doubles it or leaves a tenth.
  expect(spread(costs.map((list) => Math.min(...list)))).toBeLessThan(1.5);
  expect(spread(times.map(median))).toBeLessThan(3);
});

test('a refused login opens no session and writes nothing but the audit trail, which knows why, and no address that was typed', async () => {
  const { rows: before } = await app.sql.query('SELECT count(*)::int AS n FROM sessions');
  const reasons: string[] = [];
  for (const [what, attempt] of attempts) {
    const response = await attempt();
    const { rows } = await app.sql.query('SELECT * FROM audit_events WHERE request_id = $1', [response.body.instance]);
    expect([what, rows]).toEqual([what, [expect.objectContaining({ type: 'login', outcome: 'failure' })]]);
    const [{ reason, user_id: userId, actor_id: actorId, session_id: sessionId }] = rows;
    expect([actorId, sessionId]).toEqual([null, null]);
    reasons.push(`${reason} ${userId === null ? 'nobody' : userId === active.user.id ? 'active' : 'disabled'}`);
  }
  expect(reasons).toEqual([
    'unknown_account nobody',
    'wrong_password active',
    'account_disabled disabled',
    'wrong_password disabled',
  ]);
  const { rows: trail } = await app.sql.query(
    `SELECT (e.*)::text AS line FROM audit_events e
     UNION ALL SELECT (p.*)::text FROM audit_personal_data p WHERE user_id IS NULL`,
  );
  expect(trail.map(({ line }) => line).join('\n')).not.toMatch(/@|example\.com|stapler/i);
  expect((await app.sql.query('SELECT count(*)::int AS n FROM sessions')).rows).toEqual(before);
});

test('where the login came from stands in the erasable side table', async () => {
  const response = await app.call('post', '/login', {
    body: { email: active.email, password: wrong },
    headers: { 'user-agent': 'Curious/1.0' },
  });
  const { rows } = await app.sql.query(
    'SELECT p.* FROM audit_personal_data p JOIN audit_events e ON e.id = p.event_id WHERE request_id = $1',
    [response.body.instance],
  );
  expect(rows).toEqual([
    {
      event_id: expect.any(String),
      user_id: active.user.id,
      ip: '127.0.0.1',
      user_agent: 'Curious/1.0',
      email: active.email,
    },
  ]);
});

test('an account that is enabled again logs in again', async () => {
  const { email, user } = await app.register();
  const isActive = (value: boolean) => app.sql.query('UPDATE users SET is_active = $1 WHERE id = $2', [value, user.id]);
  await isActive(false);
  expect((await app.post('/login', { email, password })).status).toBe(401);
  await isActive(true);
  expect((await app.post('/login', { email, password })).status).toBe(200);
});
