// What the operator sees of mails, and can do about them; and what development prints.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Account } from '../harness.ts';
import { runCli } from '../keys/run-cli.ts';
import { openConsole } from '../../src/platform/mailer.ts';
import { openPostOffice, type PostOffice } from './post-office.ts';

let office: PostOffice;
let ada: Account;
beforeAll(async () => {
  office = await openPostOffice();
  ada = await office.app.register();
});
afterEach(() => office.clear());
afterAll(() => office.close());

const mails = (...args: string[]) => runCli({ DATABASE_URL: office.app.databaseUrl }, 'mails', ...args);

test('mails list names what waits and what was given up, and nobody', async () => {
  expect(await mails('list')).toEqual({ code: 0, stdout: 'No mail waits, and none was given up.\n', stderr: '' });
  await office.post(ada, 'password_reset');
  await office.emailWorker().deliverDue();
  await office.post(ada);
  office.server.mood = { refuses: 'to', code: 550 };
  await office.postLink(ada);
  await office.app.sql.query(
    `UPDATE mails SET created_at = created_at - interval '30 hours', attempts = 9 WHERE kind = 'reset_password'`,
  );
  await office.emailWorker().deliverDue();
  const rows = await office.rows();
  const idOf = (wanted: string) => rows.find(({ kind }) => kind === wanted)?.id;
  const { code, stdout } = await mails('list');
  expect([
    code,
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
  ]).toEqual([
    0,
    [
      ['ID', 'KIND', 'STATUS', 'AGE', 'ATTEMPTS', 'LAST FAULT'],
      [idOf('reset_password'), 'reset_password', 'failed', '30h', '10', 'the mail server answered 550 at RCPT TO'],
      [idOf('password_changed'), 'password_changed', 'waits', '0m', '1', 'the mail server answered 550 at RCPT TO'],
    ],
  ]);
  expect(stdout).not.toContain('@');
});

test('mails retry has what was given up tried again, ten times at least', async () => {
  const emailWorker = office.emailWorker();
  office.server.mood = { refuses: 'data', code: 554 };
  const { text } = await office.postLink(ada);
  await office.app.sql.query(`UPDATE mails SET created_at = created_at - interval '30 hours', attempts = 20`);
  await emailWorker.deliverDue();
  expect(await office.rows()).toMatchObject([{ failed_at: expect.any(Date) }]);
  expect((await mails('retry')).stdout).toMatch(/^1 mail is tried again/);
  expect((await mails('retry')).stdout).toBe('No mail was given up: nothing to do.\n');
  await emailWorker.deliverDue();
  expect(await office.rows()).toMatchObject([{ failed_at: null, attempts: 1 }]);
  office.server.mood = 'takes';
  await office.makeDue();
  await emailWorker.deliverDue();
  expect(office.server.received.map(({ token }) => token)).toEqual([text]);
});

test.each([[[]], [['list', 'all']], [['send']], [['toString']]])(
  'mails %j is answered with the usage',
  async (args) => {
    const { code, stderr } = await mails(...args);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^Usage: npm run cli -- mails <command>\n/)]);
  },
);

test('development prints a mail with its link on a line of its own', async () => {
  let printed = '';
  const link = `https://app.example.com/verify-email?token=kto_${'a'.repeat(86)}`;
  const mailer = openConsole((text) => (printed += text));
  await mailer.send({ id: '1', to: ada.email, subject: 'Confirm', text: `Hello,\n\n${link}\n`, html: '<p>' });
  expect(printed.split('\n')).toEqual(
    expect.arrayContaining([`  | Mail to ${ada.email}`, '  | Confirm', `  | ${link}`]),
  );
  expect(printed).not.toContain('<p>');
});
