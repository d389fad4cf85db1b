// The built service, with a real mail server: what only processes of their own can show.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Account } from '../harness.ts';
import { startForTest } from '../operations/processes.ts';
import { whenReady } from '../support/service.ts';
import { atOnce } from '../support/workers.ts';
import { openPostOffice, type PostOffice } from './post-office.ts';

let office: PostOffice;
let ada: Account;
beforeAll(async () => {
  office = await openPostOffice();
  ada = await office.app.register();
});
afterEach(() => office.clear());
afterAll(() => office.close());

const start = (settings = {}) => startForTest({ ...office.settings, LOG_LEVEL: 'trace', ...settings });

async function until(what: string, isSo: () => Promise<boolean>, seconds = 15): Promise<void> {
  for (let tries = 0; tries < seconds * 20; tries += 1) {
    if (await isSo()) return;
    await sleep(50);
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}

const unsent = async () => (await office.rows()).filter(({ sent_at }) => sent_at === null).length;

test('two processes send each of 200 letters once, and tell nobody what was in them', async () => {
  const accounts = await atOnce(20, () => office.app.register());
  for (const account of accounts) for (let count = 0; count < 9; count += 1) await office.post(account);
  const tokens = await atOnce(20, (index) => office.postLink(accounts[index] ?? ada));
  const services = await Promise.all([start(), start()]);
  await office.server.untilReceived(200, 30);
  await until('all are marked as sent', async () => (await unsent()) === 0);
  const ids = office.server.received.map(({ messageId }) => messageId);
  expect([ids.length, new Set(ids).size]).toEqual([200, 200]);
  expect((await office.rows()).filter(({ payload }) => payload !== null)).toEqual([]);
  const logs = services.flatMap(({ lines }) => lines).join('\n');
  expect(logs).toContain('listening');
  for (const secret of [...accounts.map(({ email }) => email), ...tokens.map(({ text }) => text), 'kto_', '?token'])
    expect(logs).not.toContain(secret);
}, 60_000);

test('a mail of a process that is killed while it sends is sent by another, when its time is up', async () => {
  office.server.mood = 'hangs';
  const { text } = await office.postLink(ada);
  const killed = await start();
  await until('the server has it', async () => office.server.hanging === 1);
  await killed.kill();
  const [held] = await office.rows();
  expect(held).toMatchObject({ attempts: 1, sent_at: null, last_fault: null });
  expect(held?.waits_seconds).toBeGreaterThan(30);
  office.server.mood = 'takes';
  const heir = office.emailWorker();
  expect(await heir.deliverDue()).toBe(0);
  await office.makeDue();
  await start();
  await office.server.untilReceived(1, 15);
  await until('it is marked as sent', async () => (await unsent()) === 0);
  expect(office.server.received.map(({ token, messageId }) => [token, messageId])).toEqual([
    [text, `<${held?.id}@keyturn.example>`],
  ]);
}, 40_000);

test('a server that hangs slows no answer and holds no connection to the database', async () => {
  office.server.mood = 'hangs';
  for (let count = 0; count < 5; count += 1) await office.post(ada);
  const service = await start({ DATABASE_POOL_MAX: '1' });
  await whenReady(service);
  await until('three letters hang', async () => office.server.hanging === 3);
  const times: number[] = [];
  for (let count = 0; count < 10; count += 1) {
    const startedMs = performance.now();
    expect((await service.login(ada.email)).status).toBe(200);
    times.push(performance.now() - startedMs);
  }
  expect(office.server.hanging).toBe(3);
  expect(Math.max(...times)).toBeLessThan(1500);
}, 40_000);

test('a server that quotes addresses is not quoted, in the log or in the database', async () => {
  office.server.mood = { refuses: 'to', code: 550 };
  const { text } = await office.postLink(ada);
  const service = await start();
  await until('it is refused', async () => (await office.rows())[0]?.last_fault !== null);
  await until('it is told', async () => service.lines.some((line) => line.includes('could not be sent')));
  const [row] = await office.rows();
  expect(row?.last_fault).toBe('the mail server answered 550 at RCPT TO');
  const told = JSON.parse(service.lines.find((line) => line.includes('could not be sent')) ?? '{}') as object;
  expect(told).toMatchObject({
    level: 'warn',
    mail_id: row?.id,
    kind: 'reset_password',
    attempts: 1,
    fault: row?.last_fault,
  });
  for (const secret of [ada.email, text, 'not wanted here']) expect(service.lines.join('\n')).not.toContain(secret);
}, 30_000);

test('a process that is stopped finishes the letter that it sends', async () => {
  office.server.delayMs = 1500;
  await office.post(ada);
  const service = await start();
  await until('the server has it', async () => office.server.hanging === 1);
  expect(await service.stop()).toBe(0);
  office.server.delayMs = 0;
  expect(office.server.received).toHaveLength(1);
  expect(await unsent()).toBe(0);
}, 30_000);
