import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Response } from 'supertest';
import { freshEmail, password, type Settings, startApp, type TestApp } from '../harness.ts';

jest.setTimeout(60_000);

const realLimits = { LOCKOUT_ATTEMPTS: '5', LOCKOUT_TOTAL: '50', LOCKOUT_DURATION: '15m', TRUST_PROXY: '1' } as const;

let app: TestApp;
beforeAll(async () => {
  app = await startApp(realLimits);
});
afterAll(() => app.close());

/** Logs in through the trusted proxy, from this IP address. */
const loginFrom = (ip: string, email: string, secret = password, to = app) =>
  to.call('post', '/login', { body: { email, password: secret }, headers: { 'x-forwarded-for': ip } });

async function failFrom(ip: string, email: string, times: number, to = app): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < times; i += 1) statuses.push((await loginFrom(ip, email, 'not it', to)).status);
  return statuses;
}

const failures = (times: number) => Array<number>(times).fill(401);

async function withApp(settings: Settings, use: (app: TestApp) => Promise<void>): Promise<void> {
  const own = await startApp({ ...realLimits, ...settings });
  await use(own).finally(() => own.close());
}

/** The response without the parts that differ from request to request. */
const shapeOf = ({ status, body, headers }: Response) => {
  const {
    'x-request-id': _,
    date: __,
    'content-length': length,
    'retry-after': ___,
    ratelimit: ____,
    ...same
  } = headers;
  return { status, length, names: Object.keys(headers).sort(), same, body: { ...(body as object), instance: '' } };
};

describe('five failures in a row from one network', () => {
  test('lock the account there: 423 with Retry-After, even for the correct password', async () => {
    const { email } = await app.register();
    expect(await failFrom('192.0.2.1', email, 5)).toEqual(failures(5));
    for (const secret of ['not it', password]) {
      const locked = await loginFrom('192.0.2.1', email, secret);
      expect([locked.status, locked.body]).toEqual([423, expect.objectContaining({ code: 'account_locked' })]);
      expect(Number(locked.headers['retry-after'])).toBeGreaterThan(890);
      expect(Number(locked.headers['retry-after'])).toBeLessThanOrEqual(900);
    }
  });

  test('do not lock the account elsewhere and end no session', async () => {
    const { email, refresh_token: token } = await app.register();
    await failFrom('192.0.2.1', email, 6);
    expect((await loginFrom('198.51.100.1', email)).status).toBe(200);
    expect((await app.refresh(token)).status).toBe(200);
  });

  test('lock an unknown email address with the same response', async () => {
    const [known, unknown] = [(await app.register()).email, freshEmail()];
    for (let i = 0; i < 7; i += 1) {
      const [one, other] = [await loginFrom('192.0.2.2', known, 'no'), await loginFrom('192.0.2.3', unknown, 'no')];
      expect(shapeOf(one)).toEqual({ ...shapeOf(other), same: expect.anything() });
      expect(one.status).toBe(i < 5 ? 401 : 423);
      expect(
        Math.abs(Number(one.headers['retry-after'] ?? 0) - Number(other.headers['retry-after'] ?? 0)),
      ).toBeLessThan(3);
    }
  });

  test.each([
    ['an IPv4 /24', '192.0.2.10', '192.0.2.250', '192.0.3.10'],
    ['an IPv6 /56', '2001:db8:1:200::1', '2001:db8:1:2ff:ffff::9', '2001:db8:1:300::1'],
    ['mapped IPv4', '::ffff:203.0.113.1', '203.0.113.77', '::ffff:203.0.114.1'],
  ])('share one counter within %s', async (_, one, neighbor, stranger) => {
    const { email } = await app.register();
    expect(await failFrom(one, email, 3)).toEqual(failures(3));
    expect(await failFrom(neighbor, email, 3)).toEqual([...failures(2), 423]);
    expect((await loginFrom(stranger, email)).status).toBe(200);
  });

  test('count together for every spelling of the email address', async () => {
    const { email } = await app.register();
    const [name = '', domain = ''] = email.split('@');
    const spellings = [email.toUpperCase(), ` ${email} `, `${name.toUpperCase()}@${domain}`, email, email];
    for (const spelling of spellings) await loginFrom('192.0.2.4', spelling, 'not it');
    expect((await loginFrom('192.0.2.4', email)).status).toBe(423);
  });
});

test('the correct password resets the count', async () => {
  const { email } = await app.register();
  for (let round = 0; round < 3; round += 1) {
    expect(await failFrom('192.0.2.5', email, 4)).toEqual(failures(4));
    expect((await loginFrom('192.0.2.5', email)).status).toBe(200);
  }
});

test('a correct password from another network does not reset the count here', async () => {
  const { email } = await app.register();
  await failFrom('192.0.2.6', email, 4);
  expect((await loginFrom('198.51.100.6', email)).status).toBe(200);
  expect(await failFrom('192.0.2.6', email, 2)).toEqual([401, 423]);
});

test('LOCKOUT_TOTAL failures from many networks lock the account for all networks', () =>
  withApp({ LOCKOUT_TOTAL: '12' }, async (own) => {
    const { email } = await own.register();
    for (let bot = 1; bot <= 12; bot += 1) expect(await failFrom(`203.0.${bot}.1`, email, 1, own)).toEqual([401]);
    const fresh = await loginFrom('198.51.100.1', email, password, own);
    expect([fresh.status, Number(fresh.headers['retry-after']) > 890]).toEqual([423, true]);
    expect(await own.db.audit.events({ type: 'account.locked' })).toMatchObject([{ reason: 'anywhere' }]);
  }));

/** An address in a /56 of its own, in the /48 with this number of 2001:db8::/32. */
const addressIn = (site: number, subnet: number) => `2001:db8:${site.toString(16)}:${subnet.toString(16)}00::1`;

test.each([
  ['ten /56 networks of one IPv6 /48', (index: number) => addressIn(1, index)],
  ['ten /48 networks of one IPv6 /32', (index: number) => addressIn(index, 1)],
  ['ten /56 networks of each of two IPv6 /48', (index: number) => addressIn(index % 2, index)],
])('fifty wrong passwords from %s lock the account there and not elsewhere', async (_, addressOf) => {
  const { email } = await app.register();
  for (let index = 1; index <= 10; index += 1) await failFrom(addressOf(index), email, 5);
  expect((await loginFrom(addressOf(11), email)).status).toBe(423);
  expect((await loginFrom('2001:dba:1::1', email)).status).toBe(200);
  expect((await loginFrom('198.51.100.1', email)).status).toBe(200);
});

test('ten wrong passwords lock an IPv6 /48, and a correct one before resets the count', async () => {
  const { email } = await app.register();
  for (const subnet of [1, 2, 3]) await failFrom(addressIn(7, subnet), email, 3);
  expect((await loginFrom(addressIn(7, 4), email)).status).toBe(200);
  for (const subnet of [5, 6, 7, 8]) expect(await failFrom(addressIn(7, subnet), email, 2)).toEqual(failures(2));
  expect(await failFrom(addressIn(7, 9), email, 3)).toEqual([401, 401, 423]);
  expect((await loginFrom(addressIn(8, 1), email)).status).toBe(200);
});

test('a lockout ends after LOCKOUT_DURATION, and the count restarts', () =>
  withApp({ LOCKOUT_DURATION: '1s' }, async (own) => {
    const { email } = await own.register();
    expect(await failFrom('192.0.2.1', email, 6, own)).toEqual([...failures(5), 423]);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(await failFrom('192.0.2.1', email, 4, own)).toEqual(failures(4));
    expect((await loginFrom('192.0.2.1', email, password, own)).status).toBe(200);
  }));

describe('every endpoint that checks a password counts failures:', () => {
  const checks: [path: string, body: (secret: string) => object][] = [
    ['/me/password', (secret) => ({ current_password: secret, new_password: 'a quieter mare and no battery' })],
    ['/me/delete', (secret) => ({ current_password: secret })],
  ];

  test.each(checks)('POST %s', async (path, body) => {
    const { email, access_token: token } = await app.register();
    const headers = { 'x-forwarded-for': '192.0.2.7' };
    const check = async (secret: string) =>
      (await app.call('post', path, { token, headers, body: body(secret) })).status;
    expect(await failFrom('192.0.2.7', email, 2)).toEqual(failures(2));
    for (let i = 0; i < 3; i += 1) expect(await check('not it')).toBe(401);
    expect(await check(password)).toBe(423);
    expect((await loginFrom('192.0.2.7', email)).status).toBe(423);
    expect((await app.get('/me', token)).status).toBe(200);
  });

  test('the new password of a change is one more guess in a series, not one more in each attempt', async () => {
    const { access_token: token } = await app.register();
    const headers = { 'x-forwarded-for': '192.0.2.10' };
    const change = async (wanted: string) =>
      (
        await app.call('post', '/me/password', {
          token,
          headers,
          body: { current_password: 'not it', new_password: wanted },
        })
      ).status;
    expect(await change('a quieter mare and no battery')).toBe(401);
    // The correct guess is not confirmed, and counts.
    for (let i = 0; i < 4; i += 1) expect(await change(password)).toBe(401);
    expect(await change(password)).toBe(423);
  });

  test('of concurrent changes whose new password is a guess, one at most is a guess of two passwords', async () => {
    const { access_token: token } = await app.register();
    const headers = { 'x-forwarded-for': '192.0.2.11' };
    const wanted = ['first wrong guess', 'second wrong guess', 'third wrong guess', password, password];
    const bodies = wanted.map((guess) => ({ current_password: 'not it', new_password: guess }));
    const [first, ...others] = bodies;
    const call = async (body: unknown) => (await app.call('post', '/me/password', { token, headers, body })).status;
    expect(await call(first)).toBe(401);
    expect(await Promise.all(others.map(call))).toEqual(failures(4));
    expect(await call(first)).toBe(423);
  });

  test('a correct password there resets the count', async () => {
    const { email, access_token: token } = await app.register();
    const headers = { 'x-forwarded-for': '192.0.2.8' };
    await failFrom('192.0.2.8', email, 4);
    const body = { current_password: password, new_password: 'a quieter mare and no battery' };
    expect((await app.call('post', '/me/password', { token, headers, body })).status).toBe(204);
    expect(await failFrom('192.0.2.8', email, 4)).toEqual(failures(4));
  });
});

describe('an attempt whose password was never checked', () => {
  test('does not count if the service was overloaded', () =>
    withApp(
      { ARGON2_MEMORY_KIB: '65536', HASH_CONCURRENCY: '1', HASH_QUEUE_MAX: '0', LOCKOUT_ATTEMPTS: '3' },
      async (own) => {
        const { email } = await own.register();
        for (let round = 0; round < 5; round += 1) {
          const responses = await Promise.all([1, 2, 3].map(() => loginFrom('192.0.2.9', email, password, own)));
          expect(responses.map(({ status }) => status).filter((status) => status !== 200 && status !== 503)).toEqual(
            [],
          );
          expect(responses.map(({ status }) => status)).toContain(503);
        }
        expect((await own.db.lockouts.all()).filter(({ attempts }) => attempts > 0)).toEqual([]);
      },
    ));

  test('counts as failed if its process died', async () => {
    const { email } = await app.register();
    await failFrom('192.0.2.11', email, 1);
    await app.db.lockouts.change('192.0.2.0/24', { attempts: 5, lastAttemptAgo: 61 }, 1);
    expect((await loginFrom('192.0.2.11', email)).status).toBe(423);
  });
});

test('a login waits for the outcome of concurrent attempts when all remaining attempts are in use', async () => {
  const { email } = await app.register();
  /** Starts a login while all attempts are in use, and returns it once it has waited. */
  const startWaiting = async () => {
    await failFrom('203.0.113.1', email, 1);
    await app.db.lockouts.change('203.0.113.0/24', { attempts: 5 }, 1);
    const login = loginFrom('203.0.113.1', email);
    const early = await Promise.race([login, new Promise((resolve) => setTimeout(() => resolve('waits'), 500))]);
    expect(early).toBe('waits');
    return { login };
  };
  const first = await startWaiting();
  await app.db.lockouts.remove('203.0.113.0/24');
  expect((await first.login).status).toBe(200);
  const second = await startWaiting();
  await app.db.lockouts.change('203.0.113.0/24', { failures: 5 });
  expect((await second.login).status).toBe(423);
});

test('forty concurrent correct passwords succeed', async () => {
  const { email } = await app.register();
  const responses = await Promise.all(Array.from({ length: 40 }, () => loginFrom('192.0.2.12', email)));
  expect(responses.map(({ status }) => status)).toEqual(Array(40).fill(200));
});

test('the audit log records each failure and the lockout, and the table contains no email address', async () => {
  const { email, user } = await app.register();
  await failFrom('192.0.2.13', email, 7);
  const [, ...events] = await app.db.audit.events({ user_id: user.id });
  const failure = { type: 'login', outcome: 'failure', reason: 'wrong_password' };
  const locked = { type: 'account.locked', outcome: 'failure', reason: 'network' };
  const meanwhile = { type: 'account.tried_while_locked', outcome: 'failure', reason: 'locked' };
  expect(events.map(({ type, outcome, reason }) => ({ type, outcome, reason }))).toEqual([
    ...Array<object>(5).fill(failure),
    locked,
    meanwhile,
    meanwhile,
  ]);
  const counters = await app.db.lockouts.asText();
  expect(counters.length).toBeGreaterThan(0);
  expect(await app.db.lockouts.hashedWithoutKey(email)).toBe(0);
  expect(counters.join('\n')).not.toContain('example');
});

test('the statement in docs/limits.md ends every lockout', async () => {
  const { email } = await app.register();
  expect(await failFrom('192.0.2.14', email, 6)).toEqual([...failures(5), 423]);
  const [, statement = ''] =
    /## Lockouts[\s\S]*?```sql\n([\s\S]*?)```/.exec(readFileSync('docs/limits.md', 'utf8')) ?? [];
  await app.sql.query(statement);
  expect((await loginFrom('192.0.2.14', email)).status).toBe(200);
});
