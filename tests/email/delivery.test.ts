import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Account } from '../harness.ts';
import { claimEmail, purgeEmails, takeRequest } from '../../src/core/email/outbox.sql.ts';
import type { EmailAddress } from '../../src/core/users/email-address.ts';
import type { UserId } from '../../src/lib/ids.ts';
import type { Transaction } from '../../src/platform/postgres.ts';
import { randomBytes } from 'node:crypto';
import { atOnce } from '../support/workers.ts';
import { appUrl, type EmailHarness, startEmailHarness, type WorkerOptions } from './email-harness.ts';

let email: EmailHarness;
let ada: Account;
beforeAll(async () => {
  email = await startEmailHarness();
  ada = await email.app.register();
});
afterEach(() => email.clear());
afterAll(() => email.close());

describe('an email', () => {
  test('arrives with text, HTML, its link and the headers for mail programs', async () => {
    const { text } = await email.enqueueLink(ada);
    expect(await email.worker().deliverDue()).toBe(1);
    const [message, ...more] = email.server.received;
    const [row] = await email.rows();
    expect(more).toEqual([]);
    expect(message).toMatchObject({ to: ada.email, subject: 'Reset your password', token: text });
    expect(message?.link).toBe(`${appUrl}/reset-password?token=${text}`);
    expect(message?.messageId).toBe(`<${row?.id}@keyturn.example>`);
    expect(message?.parsed.from?.value).toEqual([{ name: 'Keyturn', address: 'no-reply@keyturn.example' }]);
    expect(message?.parsed.headers.get('auto-submitted')).toBe('auto-generated');
    expect(message?.parsed.headers.get('content-type')).toMatchObject({ value: 'multipart/alternative' });
    expect(message?.parsed.headers.get('x-mailer')).toBeUndefined();
    expect(message?.parsed.date?.getTime()).toBeGreaterThan(Date.now() - 60_000);
    expect(message?.parsed.attachments).toEqual([]);
  });

  test('is encrypted while it waits and erased after it was sent', async () => {
    const { text } = await email.enqueueLink(ada);
    const [before] = await email.rows();
    const stored = `${(await email.app.db.server.textOf('mails')).join('\n')}${before?.payload?.toString('latin1')}`;
    expect(before?.payload?.length).toBeGreaterThan(100);
    for (const secret of [ada.email, ada.email.split('@')[0] ?? '', 'Ada', text, text.slice(4, 40)]) {
      expect(stored).not.toContain(secret);
      expect(stored).not.toContain(Buffer.from(secret).toString('hex'));
    }
    await email.worker().deliverDue();
    const [after] = await email.rows();
    expect(after).toMatchObject({ payload: null, sent_at: expect.any(Date), last_fault: null });
  });

  test('starts the lifetime of its link when it is sent', async () => {
    const token = await email.enqueueLink(ada);
    await email.app.sql.query(
      `UPDATE one_time_tokens SET created_at = created_at - interval '5 hours', expires_at = expires_at - interval '5 hours'
       WHERE id = $1`,
      [token.id],
    );
    await expect(email.tokens.find(token.text, 'password_reset')).rejects.toThrow('not valid');
    await email.worker().deliverDue();
    expect((await email.tokens.find(token.text, 'password_reset')).userId).toBe(ada.user.id);
    const { rows } = await email.app.sql.query<{ seconds: number }>(
      'SELECT extract(epoch FROM expires_at - clock_timestamp())::float AS seconds FROM one_time_tokens WHERE id = $1',
      [token.id],
    );
    expect(rows[0]?.seconds).toBeGreaterThan(3590);
    expect(rows[0]?.seconds).toBeLessThanOrEqual(3600);
  });

  test('is not sent if its link was replaced or used', async () => {
    await email.enqueueLink(ada);
    const { text } = await email.enqueueLink(ada);
    await email.worker().deliverDue();
    expect(email.server.received.map(({ token }) => token)).toEqual([text]);
    const used = await email.enqueueLink(ada);
    await email.tokens.spend(used.text, ['password_reset'], async () => true);
    await email.worker().deliverDue();
    expect(email.server.received).toHaveLength(1);
    expect((await email.rows()).filter(({ sent_at }) => sent_at === null)).toEqual([]);
  });

  test('is deleted with its account', async () => {
    const deletedAccount = await email.app.register();
    await email.enqueue(deletedAccount);
    await email.app.db.users.remove(deletedAccount);
    expect(await email.rows()).toEqual([]);
    await email.worker().deliverDue();
    expect(email.server.received).toEqual([]);
  });
});

describe('a mail server', () => {
  test('receives every email once after an outage', async () => {
    const worker = email.worker();
    for (let count = 0; count < 5; count += 1) await email.enqueue(ada);
    await email.server.down();
    await worker.deliverDue();
    await email.enqueue(ada);
    await worker.deliverDue();
    const waiting = await email.rows();
    expect(waiting).toHaveLength(6);
    for (const row of waiting) {
      expect(row).toMatchObject({ sent_at: null, failed_at: null, attempts: 1, payload: expect.any(Buffer) });
      expect(row.last_fault).toMatch(/^no response from the mail server at CONN: ESOCKET, ECONNREFUSED$/);
      expect(row.seconds_until_due).toBeGreaterThan(2);
      expect(row.seconds_until_due).toBeLessThan(6);
    }
    expect(await worker.deliverDue()).toBe(0);
    await email.server.up();
    await email.makeDue();
    await worker.deliverDue();
    expect(new Set(email.server.received.map(({ messageId }) => messageId)).size).toBe(6);
    expect(email.server.received).toHaveLength(6);
    expect(await worker.deliverDue()).toBe(0);
  });

  test.each([
    ['from', 451, 'the mail server responded with 451 at MAIL FROM'],
    ['to', 550, 'the mail server responded with 550 at RCPT TO'],
    ['data', 554, 'the mail server responded with 554 at DATA'],
  ] as const)('that rejects %s with %i is retried at growing intervals', async (rejects, code, error) => {
    const worker = email.worker();
    email.server.behavior = { rejects, code };
    await email.enqueue(ada);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      await email.makeDue();
      await worker.deliverDue();
      const [row] = await email.rows();
      expect(row).toMatchObject({ attempts: attempt, sent_at: null, failed_at: null, last_fault: error });
      waits.push(row?.seconds_until_due ?? 0);
    }
    for (const [index, seconds] of waits.entries()) {
      const planned = Math.min(900, 5 * 2 ** index);
      expect(seconds).toBeGreaterThan(planned * 0.8 - 1);
      expect(seconds).toBeLessThanOrEqual(planned * 1.2);
    }
    email.server.behavior = 'accepts';
    await email.makeDue();
    await worker.deliverDue();
    expect(email.server.received).toHaveLength(1);
    const kind = 'keyturn_emails_total{kind="password_changed",outcome=';
    expect(await worker.metrics()).toContain(`${kind}"retried"} 10`);
    expect(await worker.metrics()).toContain(`${kind}"sent"} 1`);
  });

  test('that hangs on one email does not delay the others', async () => {
    const slow = await email.app.register();
    email.server.behavior = (to) => (to === slow.email ? 'hangs' : 'accepts');
    await email.enqueue(slow);
    await email.enqueue(slow);
    for (let count = 0; count < 8; count += 1) await email.enqueue(ada, 'password_reset');
    const delivered = email.worker().deliverDue();
    await email.server.untilReceived(8, 5);
    await email.server.down();
    await delivered;
    await email.server.up();
    const unsent = (await email.rows()).filter(({ sent_at }) => sent_at === null);
    expect(unsent.map(({ kind }) => kind)).toEqual(['password_changed', 'password_changed']);
  });
});

describe('emails of registrations', () => {
  const enqueueRegistration = () =>
    email.outbox.enqueue(
      email.db,
      ada.user.id as UserId,
      { kind: 'verify_email', to: ada.email as EmailAddress, name: 'Ada' },
      { isUrgent: false },
    );

  test('are sent after all others', async () => {
    for (let count = 0; count < 20; count += 1) await enqueueRegistration();
    await email.enqueue(ada);
    await email.worker().deliverDue();
    const position = email.server.received.findIndex(({ subject }) => subject === 'Your password was changed');
    expect(email.server.received).toHaveLength(21);
    expect(position).toBeLessThan(3);
  });

  test('do not delay others while the mail server hangs on them', async () => {
    email.server.behavior = (to) => (to === ada.email ? 'hangs' : 'accepts');
    for (let count = 0; count < 8; count += 1) await enqueueRegistration();
    const delivered = email.worker();
    const finished = delivered.deliverDue();
    while (email.server.pending < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    const owner = await email.app.register();
    await email.enqueue(owner);
    void delivered.deliverDue();
    await email.server.untilReceived(1);
    expect(email.server.received.map(({ to }) => to)).toEqual([owner.email]);
    expect(email.server.pending).toBe(2);
    await email.server.down();
    await finished;
  });
});

test('four workers send each of 200 emails once', async () => {
  const accounts = await atOnce(20, () => email.app.register());
  for (const account of accounts) for (let count = 0; count < 10; count += 1) await email.enqueue(account);
  const workers = await atOnce(4, async () => email.worker());
  const taken = await Promise.all(workers.map((worker) => worker.deliverDue()));
  const ids = email.server.received.map(({ messageId }) => messageId);
  expect([ids.length, new Set(ids).size]).toEqual([200, 200]);
  expect(taken.reduce((sum, count) => sum + count)).toBe(200);
  expect(taken.filter((count) => count > 0).length).toBeGreaterThan(1);
}, 30_000);

describe('an email that fails for a day', () => {
  const failForADay = async () => {
    email.server.behavior = { rejects: 'to', code: 550 };
    await email.enqueue(ada);
    await email.app.db.emails.change({ attempts: 9, createdAgo: 25 * 3600 });
  };

  test('is marked as failed, counted, kept and not retried', async () => {
    const worker = email.worker();
    await failForADay();
    await worker.deliverDue();
    const [row] = await email.rows();
    expect(row).toMatchObject({ failed_at: expect.any(Date), payload: expect.any(Buffer), attempts: 10 });
    expect(await worker.metrics()).toContain('keyturn_emails_total{kind="password_changed",outcome="failed"} 1');
    email.server.behavior = 'accepts';
    await email.makeDue();
    expect(await worker.deliverDue()).toBe(0);
  });

  test('still has ten attempts if no process ran that day', async () => {
    await failForADay();
    await email.app.db.emails.change({ attempts: 3 });
    await email.worker().deliverDue();
    expect(await email.rows()).toMatchObject([{ failed_at: null, attempts: 4 }]);
  });
});

describe('an email request', () => {
  test('is resolved by one of several workers, and its email is sent immediately', async () => {
    const resolved: string[] = [];
    const resolveEmailRequest: WorkerOptions['resolveEmailRequest'] = async (tx, request) => {
      resolved.push(request.email);
      await email.outbox.enqueue(tx, ada.user.id as UserId, { kind: 'reset_password', to: request.email, name: 'Ada' });
    };
    for (let count = 0; count < 5; count += 1) await email.enqueueRequest(`a${count}@example.com`);
    const workers = await atOnce(4, async () => email.worker({ resolveEmailRequest }));
    await Promise.all(workers.map((worker) => worker.deliverDue()));
    const expected = [0, 1, 2, 3, 4].map((count) => `a${count}@example.com`);
    expect(resolved.sort()).toEqual(expected);
    expect(email.server.received.map(({ to }) => to).sort()).toEqual(expected);
  });

  test('does not delay emails, however many requests wait', async () => {
    for (let requests = 0; requests < 100; requests += 1) await email.enqueueRequest('unknown@example.com');
    await email.enqueue(ada);
    const arrived: number[] = [];
    const resolveEmailRequest = async () => void arrived.push(email.server.received.length);
    await email.worker({ resolveEmailRequest }).deliverDue();
    expect(arrived).toHaveLength(100);
    expect(arrived.at(-1)).toBe(1);
  });

  test('that fails is rolled back and retried', async () => {
    let failures = 1;
    const resolveEmailRequest: WorkerOptions['resolveEmailRequest'] = async (tx, { email: to }) => {
      await email.outbox.enqueue(tx, ada.user.id as UserId, { kind: 'reset_password', to, name: 'Ada' });
      if (failures-- > 0) throw new TypeError(`an error that contains ${to}`);
    };
    const worker = email.worker({ resolveEmailRequest });
    await email.enqueueRequest('a@example.com');
    await worker.deliverDue();
    expect(await email.rows()).toMatchObject([
      { kind: 'password_reset', attempts: 1, last_fault: 'internal error: TypeError' },
    ]);
    await email.makeDue();
    await worker.deliverDue();
    expect(email.server.received).toHaveLength(1);
  });
});

test('the due email and request are found with an index, however many others wait or were postponed', async () => {
  const statements: { text: string; values: unknown[] }[] = [];
  const recorder = {
    $queryRaw(statement: { text: string; values: unknown[] }) {
      statements.push(statement);
      return Promise.resolve([]);
    },
  } as unknown as Transaction;
  await takeRequest(recorder, { urgentOnly: false });
  await claimEmail(recorder, { leaseSeconds: 60, urgentOnly: false });
  const client = await email.app.sql.connect();
  await client.query(`
    INSERT INTO mails (id, stage, kind, is_urgent, payload, master_key_id, due_at)
    SELECT gen_random_uuid(), stage, 'verify_email', n % 2 = 0, '\\x00', '', clock_timestamp() + make_interval(secs => n)
    FROM generate_series(-2000, 2000) AS n, unnest(ARRAY['asked', 'written']) AS stage`);
  await client.query('ANALYZE mails');
  const plans = [];
  for (const { text, values } of statements) {
    const { rows } = await client.query<Record<string, string>>(`EXPLAIN ${text}`, values);
    plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
  }
  client.release(true);
  const byIndex =
    /Index Scan using mails_due_by_urgency on .*\n +Index Cond: \(\(stage = '\w+'::text\) AND \(is_urgent = \w+\) AND \(due_at <= /g;
  expect(plans.map((plan) => plan.match(byIndex)?.length)).toEqual([2, 2]);
});

test('an email that was sealed under a missing master key waits for the key', async () => {
  const { text } = await email.enqueueLink(ada);
  await email.worker({ masterKeys: [randomBytes(32)] }).deliverDue();
  expect((await email.rows())[0]?.last_fault).toMatch(
    /^MASTER_KEYS does not contain the master key [\da-f]{16} that sealed/,
  );
  await email.makeDue();
  await email.worker().deliverDue();
  expect(email.server.received.map(({ token }) => token)).toEqual([text]);
});

test('a payload that was moved to another email is not sent', async () => {
  await email.enqueue(ada);
  const other = await email.app.register();
  await email.enqueue(other);
  await email.app.sql.query('UPDATE mails AS m SET payload = o.payload FROM mails AS o WHERE o.id <> m.id');
  await email.worker().deliverDue();
  expect(email.server.received).toEqual([]);
  expect((await email.rows()).map(({ last_fault }) => last_fault)).toEqual(
    Array(2).fill('the sealed email is damaged'),
  );
});

test('only sent and failed emails are deleted after 30 days, in batches', async () => {
  const worker = email.worker();
  const done = async (days: number, column: string) => {
    await email.enqueue(ada, 'password_reset');
    if (column === 'sent_at') await worker.deliverDue();
    const ago = `clock_timestamp() - interval '${days} days'`;
    await email.app.sql.query(
      `UPDATE mails SET created_at = ${ago}, kind = $1, ${column} = ${ago} WHERE kind = 'password_reset'`,
      [`${column} ${days}`],
    );
  };
  for (const days of [29, 31]) await done(days, 'sent_at');
  for (const days of [29, 31, 32]) await done(days, 'failed_at');
  await done(40, 'due_at');
  expect(await purgeEmails(email.db, 1)).toBe(1);
  expect(await purgeEmails(email.db, 1)).toBe(1);
  expect(await purgeEmails(email.db, 1)).toBe(0);
  expect((await email.rows()).map(({ kind }) => kind).sort()).toEqual(['due_at 40', 'failed_at 29', 'sent_at 29']);
});
