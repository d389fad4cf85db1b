// The command `emails`, and the mailer of development.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Account } from '../harness.ts';
import { runCli } from '../support/run-cli.ts';
import { openConsole } from '../../src/platform/mailer.ts';
import { type EmailHarness, startEmailHarness } from './email-harness.ts';

let email: EmailHarness;
let ada: Account;
beforeAll(async () => {
  email = await startEmailHarness();
  ada = await email.app.register();
});
afterEach(() => email.clear());
afterAll(() => email.close());

const emails = (...args: string[]) => runCli({ DATABASE_URL: email.app.databaseUrl }, 'emails', ...args);

test('emails list prints waiting and failed emails without addresses', async () => {
  expect(await emails('list')).toEqual({
    code: 0,
    stdout: 'No emails are waiting, and none have failed.\n',
    stderr: '',
  });
  await email.enqueue(ada, 'password_reset');
  await email.worker().deliverDue();
  await email.enqueue(ada);
  email.server.behavior = { rejects: 'to', code: 550 };
  await email.enqueueLink(ada);
  await email.app.db.emails.change({ attempts: 9, createdAgo: 30 * 3600 }, 'reset_password');
  await email.worker().deliverDue();
  const rows = await email.rows();
  const idOf = (wanted: string) => rows.find(({ kind }) => kind === wanted)?.id;
  const { code, stdout } = await emails('list');
  expect([
    code,
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
  ]).toEqual([
    0,
    [
      ['ID', 'KIND', 'STATUS', 'AGE', 'ATTEMPTS', 'LAST ERROR'],
      [
        idOf('reset_password'),
        'reset_password',
        'failed',
        '30h',
        '10',
        'the mail server responded with 550 at RCPT TO',
      ],
      [
        idOf('password_changed'),
        'password_changed',
        'waiting',
        '0m',
        '1',
        'the mail server responded with 550 at RCPT TO',
      ],
    ],
  ]);
  expect(stdout).not.toContain('@');
});

test('emails retry gives failed emails ten more attempts', async () => {
  const worker = email.worker();
  email.server.behavior = { rejects: 'data', code: 554 };
  const { text } = await email.enqueueLink(ada);
  await email.app.db.emails.change({ attempts: 20, createdAgo: 30 * 3600 });
  await worker.deliverDue();
  expect(await email.rows()).toMatchObject([{ failed_at: expect.any(Date) }]);
  expect((await emails('retry')).stdout).toMatch(/^Retrying 1 email\. /);
  expect((await emails('retry')).stdout).toBe('No emails have failed.\n');
  await worker.deliverDue();
  expect(await email.rows()).toMatchObject([{ failed_at: null, attempts: 1 }]);
  email.server.behavior = 'accepts';
  await email.makeDue();
  await worker.deliverDue();
  expect(email.server.received.map(({ token }) => token)).toEqual([text]);
});

test.each<[args: string[], message: string]>([
  [[], 'The command is missing.'],
  [['list', 'all'], "Unexpected argument 'all'."],
  [['send'], "Unknown command 'send'."],
  [['toString'], "Unknown command 'toString'."],
])('emails with arguments %j prints the usage and the error', async (args, message) => {
  const { code, stderr } = await emails(...args);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^Usage: npm run cli -- emails <command>\n/)]);
  expect(stderr).toContain(`\n\n${message}\n`);
});

test('the mailer of development prints the link on its own line', async () => {
  let printed = '';
  const link = `https://app.example.com/verify-email?token=kto_${'a'.repeat(86)}`;
  const mailer = openConsole((text) => (printed += text));
  await mailer.send({ id: '1', to: ada.email, subject: 'Confirm', text: `Hello,\n\n${link}\n`, html: '<p>' });
  expect(printed.split('\n')).toEqual(
    expect.arrayContaining([`  | Email to ${ada.email}`, '  | Confirm', `  | ${link}`]),
  );
  expect(printed).not.toContain('<p>');
});
