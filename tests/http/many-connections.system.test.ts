import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { defaultLimits } from '../../src/http/server/connections.ts';
import { startForTest } from '../operations/processes.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type ServiceProcess, waitUntilReady } from '../support/service.ts';
import { startAttack, stopAttacks, unlimited } from './attack.ts';
import { send } from './wire.ts';

const masterKeys = randomBytes(32).toString('base64url');
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());
afterEach(stopAttacks);

async function start(options?: { openFilesMax: number }): Promise<ServiceProcess> {
  const service = await startForTest({ DATABASE_URL: database.url, MASTER_KEYS: masterKeys, ...unlimited }, options);
  await waitUntilReady(service);
  return service;
}

const run = promisify(execFile);

async function residentMb({ child }: ServiceProcess): Promise<number> {
  const { stdout } = await run('ps', ['-o', 'rss=', '-p', String(child.pid)]);
  return Math.round(Number(stdout) / 1024);
}

/** NaN if the system does not report it. */
function openFiles({ child }: ServiceProcess): number {
  try {
    return readdirSync(`/proc/${child.pid}/fd`).length;
  } catch {
    return NaN;
  }
}

/** Response times of `/healthz` on new connections, in ms. */
async function probe({ baseUrl }: ServiceProcess, probes = 100) {
  const tookMs: number[] = [];
  for (let count = 0; count < probes; count += 1) {
    const startedMs = performance.now();
    expect((await send(baseUrl, '/healthz')).status).toBe(200);
    tookMs.push(performance.now() - startedMs);
    await sleep(10);
  }
  tookMs.sort((a, b) => a - b);
  const at = (share: number) => Math.round((tookMs[Math.ceil(share * probes) - 1] ?? NaN) * 10) / 10;
  return { median: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

/** Requests of a legitimate client. */
async function useIt(service: ServiceProcess): Promise<void> {
  const { email } = await service.register();
  const tokens = await service.login(email);
  expect(tokens.status).toBe(200);
  expect((await service.refresh((tokens.body as { refresh_token: string }).refresh_token)).status).toBe(200);
}

/** For the p95 of `/healthz`. Other load on the machine slows the probes without the attack, too. */
const boundOf = (without: { p95: number }) => Math.max(50, 10 * without.p95);
const headers = 'POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';

describe('1,000 slow connections', () => {
  test.each([
    ['their headers', `${headers}X-A: `, 'a'],
    ['their bodies', `${headers}Content-Length: 10000\r\n\r\n`, ' '],
  ])('%s do not delay /healthz much', async (title, opening, drip) => {
    const service = await start();
    const without = await probe(service);
    const plan = { connections: 1000, opening, drip, everyMs: 500, reconnects: true };
    const attack = await startAttack(service.baseUrl, plan);
    let took = await probe(service);
    // Load that came later must not fail the test.
    for (let again = 0; again < 2 && took.p95 >= boundOf(without); again += 1) took = await probe(service);
    const { open } = await attack.report();
    console.log(
      `/healthz while ${open} connections drip ${title}, ms: ${JSON.stringify(took)}, without them: ${JSON.stringify(without)}`,
    );
    expect(open).toBeGreaterThan(900);
    expect(took.p95).toBeLessThan(boundOf(without));
    await useIt(service);
    await attack.stop();
  });
});

describe('10,000 idle connections', () => {
  test('use bounded memory, do not block other clients, and are closed after the timeout', async () => {
    const service = await start();
    await useIt(service);
    const without = await probe(service);
    const [beforeMb, filesBefore] = [await residentMb(service), openFiles(service)];
    const attack = await startAttack(service.baseUrl, { connections: 10_000 });
    await useIt(service);
    const { open } = await attack.report();
    const [duringMb, filesDuring] = [await residentMb(service), openFiles(service)];
    let took = await probe(service);
    if (took.p95 >= boundOf(without)) took = await probe(service);
    console.log(
      `10,000 idle connections: ${open} stand; resident ${beforeMb} MB, then ${duringMb} MB; ` +
        `open files ${filesBefore}, then ${filesDuring}; /healthz ${JSON.stringify(took)} ms`,
    );
    expect(open).toBeGreaterThan(defaultLimits.maxConnections * 0.9);
    expect(open).toBeLessThanOrEqual(defaultLimits.maxConnections);
    expect(filesDuring - filesBefore > defaultLimits.maxConnections + 20).toBe(false);
    expect(duringMb - beforeMb).toBeLessThan(150);
    expect(took.p95).toBeLessThan(boundOf(without));

    const patienceMs = defaultLimits.headersMs + defaultLimits.lingerMs + 2 * defaultLimits.sweepMs + 5000;
    const after = await attack.until((report) => report.open === 0, patienceMs);
    expect(after.open).toBe(0);
    await useIt(service);
    const warnings = service.lines.filter((line) => line.includes('too many connections'));
    expect(warnings).toHaveLength(1);
    await attack.stop();
  }, 60_000);

  test('do not stop a process that may open fewer files than that', async () => {
    const service = await start({ openFilesMax: 256 });
    await useIt(service);
    const attack = await startAttack(service.baseUrl, { connections: 1000, reconnects: true });
    await useIt(service);
    const { open } = await attack.report();
    expect(open).toBeGreaterThan(50);
    await attack.stop();
    await useIt(service);
  });
});
