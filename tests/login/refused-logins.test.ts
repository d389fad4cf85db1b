import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import type { Response } from 'supertest';
import { freshEmail, password, startApp, type Account, type TestApp } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { startStatementTap, type StatementTap } from '../support/statement-tap.ts';

jest.setTimeout(30_000);

// Expensive hashes, so that an additional or missing hash is visible in the time.
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
  disabled = await app.disabledUser();
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

/** The visible parts of a response, without those that differ between any two requests. */
function visible({ status, headers, body, text }: Response) {
  const { date: _, 'x-request-id': requestId, ratelimit: __, ...others } = headers as Record<string, string>;
  expect(body.instance).toBe(requestId);
  return { status, headers: others, text: text.replace(body.instance, '…') };
}

test('unknown account, wrong password and disabled account get the same response, including headers', async () => {
  const responses = [];
  for (const [, attempt] of attempts) responses.push(visible(await attempt()));
  const [first] = responses;
  expect(first).toMatchObject({ status: 401, headers: { 'cache-control': 'no-store' } });
  expect(JSON.parse(first?.text ?? '')).toMatchObject({ code: 'invalid_credentials', status: 401, instance: '…' });
  for (const response of responses) expect(response).toEqual(first);
});

test('a stored hash of an unknown format is refused like a wrong password', async () => {
  const odd = await app.register();
  const wrongPassword = visible(await app.login(active.email, wrong));
  for (const hash of [
    '',
    '!',
    '*',
    '$scrypt$ln=15,r=8,p=1$aaaa$bbbb',
    '$2x$10$short',
    '$argon2id$v=19$m=65536,t=2,p=1$AAAA',
  ]) {
    await app.db.users.setPasswordHash(odd, hash);
    expect(visible(await app.login(odd.email))).toEqual(wrongPassword);
  }
});

test('all refused logins run the same statements in the same order', async () => {
  const traces: string[][] = [];
  for (const [, attempt] of attempts) {
    await attempt(); // Prepares every statement.
    tap.reset();
    await attempt();
    traces.push(tap.statements());
  }
  // Count the attempt, find the user, and in one transaction: count the failure, insert the event.
  expect(traces[0]).toHaveLength(7);
  for (const trace of traces) expect(trace).toEqual(traces[0]);
});

test('all refused logins cost about the same CPU time, so that their time does not reveal whether an account exists', async () => {
  const costs = attempts.map((): number[] => []);
  for (let round = 0; round < 7; round += 1) {
    for (const [n, [, attempt]] of attempts.entries()) {
      const before = process.cpuUsage();
      await attempt();
      const { user, system } = process.cpuUsage(before);
      costs[n]?.push(user + system);
    }
  }
  const spread = (figures: number[]) => Math.max(...figures) / Math.min(...figures);
  // The minimum CPU time is stable on busy machines. One hash more doubles it, one less leaves a tenth of it.
  expect(spread(costs.map((list) => Math.min(...list)))).toBeLessThan(1.5);
});

test('a refused login creates no session and is audited with its reason but without the email address', async () => {
  const before = await app.db.count('sessions');
  const reasons: string[] = [];
  for (const [title, attempt] of attempts) {
    const response = await attempt();
    const events = await app.db.audit.events({ request_id: response.body.instance });
    const event = { type: 'login', outcome: 'failure', actor_id: null, session_id: null };
    expect([title, events]).toEqual([title, [expect.objectContaining(event)]]);
    const { reason, user_id: userId } = events[0] ?? {};
    reasons.push(`${reason} ${userId === null ? 'unknown' : userId === active.user.id ? 'active' : 'disabled'}`);
  }
  expect(reasons).toEqual([
    'unknown_account unknown',
    'wrong_password active',
    'account_disabled disabled',
    'wrong_password disabled',
  ]);
  const trail = [await app.db.audit.events(), await app.db.select('audit_personal_data', { user_id: null })];
  expect(JSON.stringify(trail)).not.toMatch(/@|example\.com|stapler/i);
  expect(await app.db.count('sessions')).toBe(before);
});

test('IP address and user agent of a refused login are stored in the erasable side table', async () => {
  const response = await app.call('post', '/login', {
    body: { email: active.email, password: wrong },
    headers: { 'user-agent': 'Curious/1.0' },
  });
  expect(await app.db.audit.personalData({ request_id: response.body.instance })).toEqual([
    {
      event_id: expect.any(String),
      user_id: active.user.id,
      ip: '127.0.0.1',
      user_agent: 'Curious/1.0',
      email: active.email,
    },
  ]);
});

test('an account can log in again after it was enabled again', async () => {
  const account = await app.disabledUser();
  const { email } = account;
  expect((await app.post('/login', { email, password })).status).toBe(401);
  await app.db.users.enable(account);
  expect((await app.post('/login', { email, password })).status).toBe(200);
});
