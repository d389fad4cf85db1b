import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { freshEmail, password } from '../harness.ts';
import { atOnce, startWorkers, type Workers } from '../support/workers.ts';

jest.setTimeout(120_000);

let workers: Workers;
beforeAll(async () => {
  workers = await startWorkers({
    settings: { LOCKOUT_ATTEMPTS: '5', LOCKOUT_TOTAL: '8', TRUST_PROXY: '1', HASH_QUEUE_MAX: '1000' },
  });
});
afterAll(() => workers.close());

const guess = (index: number, email: string, ip: string) =>
  workers.at(index).call('post', '/login', {
    body: { email, password: `guess ${index}` },
    headers: { 'x-forwarded-for': ip },
  });

const count = (statuses: number[], status: number) => statuses.filter((each) => each === status).length;

/** Number of passwords that were hashed: each failure is an audit event. */
const hashed = () => workers.db.count('audit_events', { type: 'login', outcome: 'failure' });

test.each(['existing', 'unknown'])('of 200 concurrent guesses at an %s address, five are hashed', async (which) => {
  const email = which === 'existing' ? (await workers.first.register()).email : freshEmail();
  const before = await hashed();
  const responses = await atOnce(200, (index) => guess(index, email, '192.0.2.1'));
  const statuses = responses.map(({ status }) => status);
  expect([count(statuses, 401), count(statuses, 423)]).toEqual([5, 195]);
  expect((await hashed()) - before).toBe(5);
});

test('of 200 concurrent guesses from forty networks, LOCKOUT_TOTAL are hashed', async () => {
  const { email } = await workers.first.register();
  const before = await hashed();
  const responses = await atOnce(200, (index) => guess(index, email, `203.0.${index % 40}.1`));
  const statuses = responses.map(({ status }) => status);
  expect([count(statuses, 401), count(statuses, 423)]).toEqual([8, 192]);
  expect((await hashed()) - before).toBe(8);
  expect((await guess(0, email, '198.51.100.1')).status).toBe(423);
});

test('of 200 concurrent guesses from forty /56 networks of one IPv6 /48, five are hashed', async () => {
  const { email } = await workers.first.register();
  const before = await hashed();
  const responses = await atOnce(200, (index) => guess(index, email, `2001:db8:1:${10 + (index % 40)}00::1`));
  const statuses = responses.map(({ status }) => status);
  expect([count(statuses, 401), count(statuses, 423)]).toEqual([5, 195]);
  expect((await hashed()) - before).toBe(5);
  expect((await workers.first.login(email)).status).toBe(200);
});

test('a correct password among concurrent guesses resets the count at most once', async () => {
  const { email } = await workers.first.register();
  const responses = await atOnce(60, (index) =>
    index === 30 ? workers.at(index).login(email, password) : guess(index, email, '127.0.0.1'),
  );
  const statuses = responses.map(({ status }) => status);
  expect(statuses.filter((status) => ![200, 401, 423].includes(status))).toEqual([]);
  // A success resets the count once.
  expect(count(statuses, 401)).toBeLessThanOrEqual(10);
});
