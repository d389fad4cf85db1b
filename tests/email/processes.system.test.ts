// Separate processes of the built service, with a real SMTP server.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Account } from '../harness.ts';
import { startForTest } from '../operations/processes.ts';
import { waitUntilReady } from '../support/service.ts';
import { atOnce } from '../support/workers.ts';
import { type EmailHarness, startEmailHarness } from './email-harness.ts';

let email: EmailHarness;
let ada: Account;
beforeAll(async () => {
  email = await startEmailHarness();
  ada = await email.app.register();
});
afterEach(() => email.clear());
afterAll(() => email.close());

const start = (settings = {}) => startForTest({ ...email.settings, LOG_LEVEL: 'trace', ...settings });

async function until(condition: string, isTrue: () => Promise<boolean>, seconds = 15): Promise<void> {
  for (let tries = 0; tries < seconds * 20; tries += 1) {
    if (await isTrue()) return;
    await sleep(50);
  }
  throw new Error(`not within ${seconds} s: ${condition}`);
}

const unsent = async () => (await email.rows()).filter(({ sent_at }) => sent_at === null).length;

test('two processes send each of 200 emails once and log none of the content', async () => {
  const accounts = await atOnce(20, () => email.app.register());
  for (const account of accounts) for (let count = 0; count < 9; count += 1) await email.enqueue(account);
  const tokens = await atOnce(20, (index) => email.enqueueLink(accounts[index] ?? ada));
  const services = await Promise.all([start(), start()]);
  await email.server.untilReceived(200, 30);
  await until('all are marked as sent', async () => (await unsent()) === 0);
  const ids = email.server.received.map(({ messageId }) => messageId);
  expect([ids.length, new Set(ids).size]).toEqual([200, 200]);
  expect((await email.rows()).filter(({ payload }) => payload !== null)).toEqual([]);
  const logs = services.flatMap(({ lines }) => lines).join('\n');
  expect(logs).toContain('listening');
  for (const secret of [...accounts.map(({ email }) => email), ...tokens.map(({ text }) => text), 'kto_', '?token'])
    expect(logs).not.toContain(secret);
}, 60_000);

test('an email of a process that is killed during delivery is sent by another process after the lease', async () => {
  email.server.behavior = 'hangs';
  const { text } = await email.enqueueLink(ada);
  const killed = await start();
  await until('the server has it', async () => email.server.pending === 1);
  await killed.kill();
  const [held] = await email.rows();
  expect(held).toMatchObject({ attempts: 1, sent_at: null, last_fault: null });
  expect(held?.seconds_until_due).toBeGreaterThan(30);
  email.server.behavior = 'accepts';
  const other = email.worker();
  expect(await other.deliverDue()).toBe(0);
  await email.makeDue();
  await start();
  await email.server.untilReceived(1, 15);
  await until('it is marked as sent', async () => (await unsent()) === 0);
  expect(email.server.received.map(({ token, messageId }) => [token, messageId])).toEqual([
    [text, `<${held?.id}@keyturn.example>`],
  ]);
}, 40_000);

test('a mail server that hangs delays no response and holds no database connection', async () => {
  email.server.behavior = 'hangs';
  for (let count = 0; count < 5; count += 1) await email.enqueue(ada);
  const service = await start({ DATABASE_POOL_MAX: '1' });
  await waitUntilReady(service);
  await until('three emails hang', async () => email.server.pending === 3);
  const times: number[] = [];
  for (let count = 0; count < 10; count += 1) {
    const startedMs = performance.now();
    expect((await service.login(ada.email)).status).toBe(200);
    times.push(performance.now() - startedMs);
  }
  expect(email.server.pending).toBe(3);
  expect(Math.max(...times)).toBeLessThan(1500);
}, 40_000);

test('errors of the mail server that contain addresses are neither logged nor stored', async () => {
  email.server.behavior = { rejects: 'to', code: 550 };
  const { text } = await email.enqueueLink(ada);
  const service = await start();
  await until('it is rejected', async () => (await email.rows())[0]?.last_fault !== null);
  await until('it is logged', async () => service.lines.some((line) => line.includes('could not be sent')));
  const [row] = await email.rows();
  expect(row?.last_fault).toBe('the mail server responded with 550 at RCPT TO');
  const logged = JSON.parse(service.lines.find((line) => line.includes('could not be sent')) ?? '{}') as object;
  expect(logged).toMatchObject({
    level: 'warn',
    email_id: row?.id,
    kind: 'reset_password',
    attempts: 1,
    reason: row?.last_fault,
  });
  for (const secret of [ada.email, text, 'not wanted here']) expect(service.lines.join('\n')).not.toContain(secret);
}, 30_000);

test('a process that is stopped finishes its delivery', async () => {
  email.server.delayMs = 1500;
  await email.enqueue(ada);
  const service = await start();
  await until('the server has it', async () => email.server.pending === 1);
  expect(await service.stop()).toBe(0);
  email.server.delayMs = 0;
  expect(email.server.received).toHaveLength(1);
  expect(await unsent()).toBe(0);
}, 30_000);
