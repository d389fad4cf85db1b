// The job that deletes accounts that were registered, never verified and never used again.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeAudit } from '../../src/core/audit/audit.ts';
import { deleteUnusedAccounts, lockUnusedAccounts } from '../../src/core/unused-accounts/unused-accounts.sql.ts';
import { type Infrastructure, openInfrastructure } from '../../src/infrastructure.ts';
import { makeJobs } from '../../src/jobs.ts';
import type { UserId } from '../../src/lib/ids.ts';
import { makeLogger } from '../../src/platform/log.ts';
import { loadConfig } from '../../src/config.ts';
import { type Account, freshEmail, password, type Settings, startApp, type TestApp } from '../harness.ts';
import { openRows } from '../support/rows/index.ts';

const day = 24 * 3600;
const log = makeLogger({ level: 'silent', pretty: false });

let app: TestApp;
let infrastructure: Infrastructure;
beforeAll(async () => {
  app = await startApp();
  infrastructure = openInfrastructure(app.config, log);
});
afterAll(async () => {
  await infrastructure.close();
  await app.close();
});

/** Runs the job once. */
async function purge(config = app.config): Promise<void> {
  const { db, metrics } = infrastructure;
  const jobs = makeJobs({ db, metrics, audit: makeAudit(app), config, log });
  const job = jobs.find(({ name }) => name === 'purge_unused_accounts');
  await job?.run(new AbortController().signal);
}

/** The settings of other processes on the same database. */
const environment = () => ({
  DATABASE_URL: app.databaseUrl,
  MASTER_KEYS: app.config.masterKeys[0]?.toString('base64url') ?? '',
});

/** Lets `days` pass for an account whose emails were sent. */
async function pass(account: Account, days: number): Promise<Account> {
  await app.emails();
  await app.db.users.age(account, days * day);
  await app.db.sessions.age(days * day, account);
  await app.db.oneTimeTokens.age(account, days * day);
  return account;
}
const registeredDaysAgo = async (days: number) => pass(await app.register(), days);
const exists = async ({ user }: Account) => (await app.db.count('users', { id: user.id })) === 1;

describe('an account that was never verified and never used again', () => {
  test('is deleted after 30 days, recorded and counted, and its address can be registered', async () => {
    const account = await registeredDaysAgo(31);
    await purge();
    expect(await exists(account)).toBe(false);
    const [event, ...more] = await app.db.audit.events({ user_id: account.user.id, type: 'account.purged' });
    expect(event).toMatchObject({ outcome: 'success', reason: 'unverified', actor_id: null, request_id: null });
    expect(more).toEqual([]);
    const metrics = await infrastructure.metrics.registry.metrics();
    expect(metrics).toMatch(/^keyturn_accounts_purged_total [1-9]/m);
    await app.register({ email: account.email });
  });

  test('is deleted although strangers tried passwords and requested links', async () => {
    const account = await app.register();
    for (const path of ['/forgot-password', '/verify-email/resend']) await app.post(path, { email: account.email });
    await app.login(account.email, 'not it');
    await pass(account, 31);
    await purge();
    expect(await exists(account)).toBe(false);
  });
});

test('all unused accounts are deleted, page by page', async () => {
  const { rows } = await app.sql.query<{ id: string }>(`
    WITH added AS (
      INSERT INTO users (id, email, display_name, password_hash, created_at)
      SELECT gen_random_uuid(), 'page' || n || '@example.com', 'Ada', '!', now() - interval '31 days'
      FROM generate_series(1, 250) AS n RETURNING id
    ), events AS (
      INSERT INTO audit_events (id, type, outcome, user_id)
      SELECT gen_random_uuid(), 'account.registered', 'success', id FROM added
    ) SELECT id FROM added`);
  const [kept] = rows;
  await app.db.users.markVerified(kept?.id ?? '');
  await purge();
  expect(await app.db.count('users', { id: rows.map(({ id }) => id) })).toBe(1);
});

describe('an account is kept', () => {
  const reasons: [reason: string, prepare: () => Promise<Account>][] = [
    ['for 30 days', () => registeredDaysAgo(29)],
    [
      'if its address is verified',
      async () => {
        const account = await app.register();
        await app.post('/verify-email', { token: (await app.nextEmail(account.email)).token });
        return pass(account, 31);
      },
    ],
    [
      'if its address was verified once',
      async () => {
        const account = await app.register();
        await app.post('/verify-email', { token: (await app.nextEmail(account.email)).token });
        const { token } = await app.admin();
        const path = `/admin/users/${account.user.id}`;
        await app.call('patch', path, { token, body: { email_verified: false } });
        return pass(account, 31);
      },
    ],
    [
      'if it logged in after its registration',
      async () => {
        const account = await app.register();
        await app.login(account.email);
        return pass(account, 400);
      },
    ],
    [
      'if its session is live',
      async () => {
        const account = await registeredDaysAgo(31);
        await app.sql.query(
          `UPDATE sessions SET expires_at = now() + interval '1 hour', absolute_expires_at = now() + interval '1 hour'
           WHERE id = $1`,
          [account.session_id],
        );
        return account;
      },
    ],
    [
      'if its session was refreshed, however long ago',
      async () => {
        const account = await registeredDaysAgo(20);
        const refreshed = await app.refresh(account.refresh_token);
        expect(refreshed.status).toBe(200);
        return pass(account, 400);
      },
    ],
    [
      'if the session of its registration was deleted, because it may have been refreshed',
      async () => {
        const account = await registeredDaysAgo(400);
        await app.sql.query('DELETE FROM sessions WHERE id = $1', [account.session_id]);
        return account;
      },
    ],
    [
      'if it has an API key',
      async () => {
        const account = await app.register();
        await app.apiKeyOf(account, ['profile']);
        return pass(account, 31);
      },
    ],
    ['if it has a role besides `user`', async () => pass(await app.userWithRole('reader', ['posts:read']), 31)],
    ['if it is disabled', async () => pass(await app.disabledUser(), 31)],
    [
      'while a link that was sent to it is valid',
      async () => {
        const account = await registeredDaysAgo(31);
        await app.post('/verify-email/resend', { email: account.email });
        await app.nextEmail(account.email);
        return account;
      },
    ],
    [
      'if it was not registered here',
      async () => {
        const email = freshEmail();
        const account = { email, user: { id: await app.db.users.insert(email) } } as Account;
        return pass(account, 400);
      },
    ],
  ];

  test.each(reasons)('%s', async (_, prepare) => {
    const account = await prepare();
    await purge();
    expect(await exists(account)).toBe(true);
  });
});

test.each<[string, Settings]>([
  ['UNVERIFIED_ACCOUNT_RETENTION=off', { UNVERIFIED_ACCOUNT_RETENTION: 'off' }],
  ['EMAIL_VERIFICATION=off', { EMAIL_VERIFICATION: 'off' }],
])('no account is deleted with %s', async (_, settings) => {
  const account = await registeredDaysAgo(400);
  const config = await loadConfig('development', {}, { ...environment(), ...settings });
  await purge(config);
  expect(await exists(account)).toBe(true);
  await purge();
  expect(await exists(account)).toBe(false);
});

test('with EMAIL_VERIFICATION=required, an account without a session is deleted', async () => {
  const other = await startApp({ ...environment(), EMAIL_VERIFICATION: 'required' }, { databaseUrl: app.databaseUrl });
  const email = freshEmail();
  await other.post('/register', { email, password, display_name: 'Ada' });
  await other.emails();
  const id = (await app.db.users.byEmail(email))?.id ?? '';
  await other.close();
  const account = await pass({ email, user: { id } } as Account, 31);
  await purge();
  expect(await exists(account)).toBe(false);
});

describe('races', () => {
  const unused = { retentionSeconds: 30 * day, sessionTtlSeconds: 30 * day };

  test('an account whose login is in progress is skipped', async () => {
    const account = await registeredDaysAgo(31);
    const client = await app.sql.connect();
    await client.query('BEGIN');
    await openRows(client).users.lock(account);
    await purge();
    expect(await exists(account)).toBe(true);
    await client.query('ROLLBACK');
    client.release();
  });

  test('an account that logged in after it was selected is not deleted', async () => {
    const account = await registeredDaysAgo(31);
    const { db } = infrastructure;
    const ids = [account.user.id as UserId];
    expect(await lockUnusedAccounts(db, ids, unused)).toEqual([{ id: account.user.id }]);
    expect((await app.login(account.email)).status).toBe(200);
    expect(await deleteUnusedAccounts(db, ids, unused)).toEqual([]);
    expect(await exists(account)).toBe(true);
  });

  test('a concurrent login succeeds and keeps the account, or is refused', async () => {
    const accounts: Account[] = [];
    for (let count = 0; count < 12; count += 1) accounts.push(await registeredDaysAgo(31));
    const [logins] = await Promise.all([Promise.all(accounts.map(({ email }) => app.login(email))), purge(), purge()]);
    for (const [index, account] of accounts.entries())
      expect(await exists(account)).toBe(logins[index]?.status === 200);
    expect(logins.filter(({ status }) => ![200, 401].includes(status))).toEqual([]);
  });
});
