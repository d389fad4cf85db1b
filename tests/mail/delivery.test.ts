import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Account } from '../harness.ts';
import { answerNext, claimEmail, purgeEmails } from '../../src/core/email/outbox-delivery.store.ts';
import type { UserId } from '../../src/lib/ids.ts';
import { type Database } from '../../src/platform/postgres.ts';
import { sql } from '../../src/platform/sql.ts';
import { randomBytes } from 'node:crypto';
import { atOnce } from '../support/workers.ts';
import { appUrl, openPostOffice, type PostOffice } from './post-office.ts';

let office: PostOffice;
let ada: Account;
beforeAll(async () => {
  office = await openPostOffice();
  ada = await office.app.register();
});
afterEach(() => office.clear());
afterAll(() => office.close());

describe('a letter', () => {
  test('arrives with both parts, its link, and the headers that machines look at', async () => {
    const { text } = await office.postLink(ada);
    expect(await office.emailWorker().deliverDue()).toBe(1);
    const [mail, ...more] = office.server.received;
    const [row] = await office.rows();
    expect(more).toEqual([]);
    expect(mail).toMatchObject({ to: ada.email, subject: 'Set a new password', token: text });
    expect(mail?.link).toBe(`${appUrl}/reset-password?token=${text}`);
    expect(mail?.messageId).toBe(`<${row?.id}@keyturn.example>`);
    expect(mail?.parsed.from?.value).toEqual([{ name: 'Keyturn', address: 'no-reply@keyturn.example' }]);
    expect(mail?.parsed.headers.get('auto-submitted')).toBe('auto-generated');
    expect(mail?.parsed.headers.get('content-type')).toMatchObject({ value: 'multipart/alternative' });
    expect(mail?.parsed.headers.get('x-mailer')).toBeUndefined();
    expect(mail?.parsed.date?.getTime()).toBeGreaterThan(Date.now() - 60_000);
    expect(mail?.parsed.attachments).toEqual([]);
  });

  test('is sealed while it waits, and erased once it is sent', async () => {
    const { text } = await office.postLink(ada);
    const dump = async () =>
      (await office.app.sql.query<{ row: string }>(`SELECT m::text AS row FROM mails AS m`)).rows[0]?.row ?? '';
    const [before] = await office.rows();
    const stored = `${await dump()}${before?.payload?.toString('latin1')}`;
    expect(before?.payload?.length).toBeGreaterThan(100);
    for (const secret of [ada.email, ada.email.split('@')[0] ?? '', 'Ada', text, text.slice(4, 40)]) {
      expect(stored).not.toContain(secret);
      expect(stored).not.toContain(Buffer.from(secret).toString('hex'));
    }
    await office.emailWorker().deliverDue();
    const [after] = await office.rows();
    expect(after).toMatchObject({ payload: null, sent_at: expect.any(Date), last_fault: null });
  });

  test('begins the time of its link when it leaves', async () => {
    const token = await office.postLink(ada);
    await office.app.sql.query(
      `UPDATE one_time_tokens SET created_at = created_at - interval '5 hours', expires_at = expires_at - interval '5 hours'
       WHERE id = $1`,
      [token.id],
    );
    await expect(office.tokens.peek(token.text, 'password_reset')).rejects.toThrow('not live');
    await office.emailWorker().deliverDue();
    expect((await office.tokens.peek(token.text, 'password_reset')).userId).toBe(ada.user.id);
    const { rows } = await office.app.sql.query<{ seconds: number }>(
      'SELECT extract(epoch FROM expires_at - clock_timestamp())::float AS seconds FROM one_time_tokens WHERE id = $1',
      [token.id],
    );
    expect(rows[0]?.seconds).toBeGreaterThan(3590);
    expect(rows[0]?.seconds).toBeLessThanOrEqual(3600);
  });

  test('whose link was replaced or used is not sent', async () => {
    await office.postLink(ada);
    const { text } = await office.postLink(ada);
    await office.emailWorker().deliverDue();
    expect(office.server.received.map(({ token }) => token)).toEqual([text]);
    const used = await office.postLink(ada);
    await office.tokens.spend(used.text, ['password_reset'], async () => true);
    await office.emailWorker().deliverDue();
    expect(office.server.received).toHaveLength(1);
    expect((await office.rows()).filter(({ sent_at }) => sent_at === null)).toEqual([]);
  });

  test('goes with its account', async () => {
    const leaver = await office.app.register();
    await office.post(leaver);
    await office.app.sql.query('DELETE FROM users WHERE id = $1', [leaver.user.id]);
    expect(await office.rows()).toEqual([]);
    await office.emailWorker().deliverDue();
    expect(office.server.received).toEqual([]);
  });
});

describe('a server', () => {
  test('that is down for a while gets every mail once, when it is back', async () => {
    const emailWorker = office.emailWorker();
    for (let count = 0; count < 5; count += 1) await office.post(ada);
    await office.server.down();
    await emailWorker.deliverDue();
    await office.post(ada);
    await emailWorker.deliverDue();
    const waiting = await office.rows();
    expect(waiting).toHaveLength(6);
    for (const row of waiting) {
      expect(row).toMatchObject({ sent_at: null, failed_at: null, attempts: 1, payload: expect.any(Buffer) });
      expect(row.last_fault).toMatch(/^no response from the mail server at CONN: ESOCKET, ECONNREFUSED$/);
      expect(row.waits_seconds).toBeGreaterThan(2);
      expect(row.waits_seconds).toBeLessThan(6);
    }
    expect(await emailWorker.deliverDue()).toBe(0);
    await office.server.up();
    await office.makeDue();
    await emailWorker.deliverDue();
    expect(new Set(office.server.received.map(({ messageId }) => messageId)).size).toBe(6);
    expect(office.server.received).toHaveLength(6);
    expect(await emailWorker.deliverDue()).toBe(0);
  });

  test.each([
    ['from', 451, 'the mail server responded with 451 at MAIL FROM'],
    ['to', 550, 'the mail server responded with 550 at RCPT TO'],
    ['data', 554, 'the mail server responded with 554 at DATA'],
  ] as const)('that refuses at %s with %i is asked again, later and later', async (refuses, code, fault) => {
    const emailWorker = office.emailWorker();
    office.server.mood = { refuses, code };
    await office.post(ada);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      await office.makeDue();
      await emailWorker.deliverDue();
      const [row] = await office.rows();
      expect(row).toMatchObject({ attempts: attempt, sent_at: null, failed_at: null, last_fault: fault });
      waits.push(row?.waits_seconds ?? 0);
    }
    for (const [index, seconds] of waits.entries()) {
      const planned = Math.min(900, 5 * 2 ** index);
      expect(seconds).toBeGreaterThan(planned * 0.8 - 1);
      expect(seconds).toBeLessThanOrEqual(planned * 1.2);
    }
    office.server.mood = 'takes';
    await office.makeDue();
    await emailWorker.deliverDue();
    expect(office.server.received).toHaveLength(1);
    const kind = 'keyturn_mails_total{kind="password_changed",outcome=';
    expect(await emailWorker.metrics()).toContain(`${kind}"retried"} 10`);
    expect(await emailWorker.metrics()).toContain(`${kind}"sent"} 1`);
  });

  test('that takes a mail and says nothing holds up no other', async () => {
    const slow = await office.app.register();
    office.server.mood = (to) => (to === slow.email ? 'hangs' : 'takes');
    await office.post(slow);
    await office.post(slow);
    for (let count = 0; count < 8; count += 1) await office.post(ada, 'password_reset');
    const delivered = office.emailWorker().deliverDue();
    await office.server.untilReceived(8, 5);
    await office.server.down();
    await delivered;
    await office.server.up();
    const unsent = (await office.rows()).filter(({ sent_at }) => sent_at === null);
    expect(unsent.map(({ kind }) => kind)).toEqual(['password_changed', 'password_changed']);
  });
});

test('four postmen send each of 200 letters once', async () => {
  const accounts = await atOnce(20, () => office.app.register());
  for (const account of accounts) for (let count = 0; count < 10; count += 1) await office.post(account);
  const postmen = await atOnce(4, async () => office.emailWorker());
  const taken = await Promise.all(postmen.map((emailWorker) => emailWorker.deliverDue()));
  const ids = office.server.received.map(({ messageId }) => messageId);
  expect([ids.length, new Set(ids).size]).toEqual([200, 200]);
  expect(taken.reduce((sum, count) => sum + count)).toBe(200);
  expect(taken.filter((count) => count > 0).length).toBeGreaterThan(1);
}, 30_000);

describe('a mail that fails for a day', () => {
  const failForADay = async () => {
    office.server.mood = { refuses: 'to', code: 550 };
    await office.post(ada);
    await office.app.sql.query(`UPDATE mails SET created_at = created_at - interval '25 hours', attempts = 9`);
  };

  test('is marked, counted and kept, and not tried again by itself', async () => {
    const emailWorker = office.emailWorker();
    await failForADay();
    await emailWorker.deliverDue();
    const [row] = await office.rows();
    expect(row).toMatchObject({ failed_at: expect.any(Date), payload: expect.any(Buffer), attempts: 10 });
    expect(await emailWorker.metrics()).toContain('keyturn_mails_total{kind="password_changed",outcome="failed"} 1');
    office.server.mood = 'takes';
    await office.makeDue();
    expect(await emailWorker.deliverDue()).toBe(0);
  });

  test('has ten attempts all the same, where no process ran for that day', async () => {
    await failForADay();
    await office.app.sql.query('UPDATE mails SET attempts = 3');
    await office.emailWorker().deliverDue();
    expect(await office.rows()).toMatchObject([{ failed_at: null, attempts: 4 }]);
  });
});

describe('an ask', () => {
  test('is answered once, whoever comes, and its letters leave at once', async () => {
    const asked: string[] = [];
    const answer: NonNullable<Parameters<PostOffice['emailWorker']>[0]>['answer'] = async (tx, ask) => {
      asked.push(ask.email);
      await office.outbox.post(tx, ada.user.id as UserId, { kind: 'reset_password', to: ask.email, name: 'Ada' });
    };
    for (let count = 0; count < 5; count += 1) await office.ask(`a${count}@example.com`);
    const postmen = await atOnce(4, async () => office.emailWorker({ answer }));
    await Promise.all(postmen.map((emailWorker) => emailWorker.deliverDue()));
    const expected = [0, 1, 2, 3, 4].map((count) => `a${count}@example.com`);
    expect(asked.sort()).toEqual(expected);
    expect(office.server.received.map(({ to }) => to).sort()).toEqual(expected);
  });

  test('holds up no letter, however many others there are', async () => {
    for (let asked = 0; asked < 100; asked += 1) await office.ask('nobody@example.com');
    await office.post(ada);
    const arrived: number[] = [];
    await office.emailWorker({ answer: async () => void arrived.push(office.server.received.length) }).deliverDue();
    expect(arrived).toHaveLength(100);
    expect(arrived.at(-1)).toBe(1);
  });

  test('that fails leaves nothing of what it did, and is asked again', async () => {
    let faults = 1;
    const answer: NonNullable<Parameters<PostOffice['emailWorker']>[0]>['answer'] = async (tx, { email }) => {
      await office.outbox.post(tx, ada.user.id as UserId, { kind: 'reset_password', to: email, name: 'Ada' });
      if (faults-- > 0) throw new TypeError(`a fault that quotes ${email}`);
    };
    const emailWorker = office.emailWorker({ answer });
    await office.ask('a@example.com');
    await emailWorker.deliverDue();
    expect(await office.rows()).toMatchObject([
      { kind: 'password_reset', attempts: 1, last_fault: 'a fault of ours: TypeError' },
    ]);
    await office.makeDue();
    await emailWorker.deliverDue();
    expect(office.server.received).toHaveLength(1);
  });
});

test('what is due is found by an index alone, however much waits of the other kind or was put off', async () => {
  const statements: { text: string; values: unknown[] }[] = [];
  const listener = {
    $queryRaw(strings: TemplateStringsArray, ...values: string[]) {
      statements.push(sql(strings, ...values));
      return Promise.resolve([]);
    },
    $transaction: (work: (tx: unknown) => Promise<unknown>) => work(listener),
  } as unknown as Database;
  await answerNext(listener, async () => {});
  await claimEmail(listener, 60);
  const client = await office.app.sql.connect();
  await client.query(`
    INSERT INTO mails (id, stage, kind, payload, master_key_id, due_at)
    SELECT gen_random_uuid(), stage, 'verify_email', '\\x00', '', clock_timestamp() + make_interval(secs => n)
    FROM generate_series(-2000, 2000) AS n, unnest(ARRAY['asked', 'written']) AS stage`);
  await client.query('ANALYZE mails');
  const plans = [];
  for (const { text, values } of statements) {
    const { rows } = await client.query<Record<string, string>>(`EXPLAIN ${text}`, values);
    plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
  }
  client.release(true);
  const byIndex = /Index Scan using mails_due on .*\n +Index Cond: \(\(stage = '\w+'::text\) AND \(due_at <= /;
  expect(plans).toEqual([expect.stringMatching(byIndex), expect.stringMatching(byIndex)]);
});

test('a mail that is sealed under a master key that is gone waits for it', async () => {
  const { text } = await office.postLink(ada);
  await office.emailWorker({ masterKeys: [randomBytes(32)] }).deliverDue();
  expect((await office.rows())[0]?.last_fault).toMatch(/^MASTER_KEYS does not hold the master key [\da-f]{16}, which/);
  await office.makeDue();
  await office.emailWorker().deliverDue();
  expect(office.server.received.map(({ token }) => token)).toEqual([text]);
});

test('a payload that was moved to another mail is not sent', async () => {
  await office.post(ada);
  const other = await office.app.register();
  await office.post(other);
  await office.app.sql.query('UPDATE mails AS m SET payload = o.payload FROM mails AS o WHERE o.id <> m.id');
  await office.emailWorker().deliverDue();
  expect(office.server.received).toEqual([]);
  expect((await office.rows()).map(({ last_fault }) => last_fault)).toEqual(
    Array(2).fill('the sealed mail is damaged'),
  );
});

test('what was sent or given up is deleted after 30 days, in batches, and nothing else', async () => {
  const emailWorker = office.emailWorker();
  const done = async (days: number, column: string) => {
    await office.post(ada, 'password_reset');
    if (column === 'sent_at') await emailWorker.deliverDue();
    const ago = `clock_timestamp() - interval '${days} days'`;
    await office.app.sql.query(
      `UPDATE mails SET created_at = ${ago}, kind = $1, ${column} = ${ago} WHERE kind = 'password_reset'`,
      [`${column} ${days}`],
    );
  };
  for (const days of [29, 31]) await done(days, 'sent_at');
  for (const days of [29, 31, 32]) await done(days, 'failed_at');
  await done(40, 'due_at');
  expect(await purgeEmails(office.db, 1)).toBe(1);
  expect(await purgeEmails(office.db, 1)).toBe(1);
  expect(await purgeEmails(office.db, 1)).toBe(0);
  expect((await office.rows()).map(({ kind }) => kind).sort()).toEqual(['due_at 40', 'failed_at 29', 'sent_at 29']);
});
