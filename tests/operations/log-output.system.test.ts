// A log that cannot be written must not stop the service.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { LineWriter } from '../../src/platform/line-writer.ts';
import { makeClient } from '../harness.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { productionSettings, waitUntilReady } from '../support/service.ts';

const common = productionSettings(); // with one master key for all services of the database
let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createDatabase();
  folder = mkdtempSync(join(tmpdir(), 'keyturn-log-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await database.drop();
});

let fifos = 0;
/** A pipe without a reader. It can hold 64 KiB. */
function openPipe(): { path: string; fd: number } {
  const path = join(folder, `pipe.${(fifos += 1)}`);
  execFileSync('mkfifo', [path]);
  return { path, fd: openSync(path, 'r+') };
}

let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

/** Starts the service with this file descriptor as its standard output, or with pipes as its standard output and error. */
async function startLoggingTo(fd: number | 'pipe') {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const ports = { PORT: String(port), METRICS_PORT: String(metricsPort) };
  child = spawn(process.execPath, ['bin/keyturn.cjs', 'main'], {
    env: { PATH: process.env['PATH'] ?? '', ...common, DATABASE_URL: database.url, ...ports },
    stdio: ['ignore', fd, fd === 'pipe' ? 'pipe' : 'inherit'],
  });
  if (fd !== 'pipe') closeSync(fd);
  const service = makeClient(`http://127.0.0.1:${port}`);
  const isListening = () => service.get('/healthz').then(Boolean, () => false);
  for (let tries = 0; tries < 200 && !(await isListening()); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));
  await waitUntilReady(service);
  const scrape = async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return { ...service, scrape };
}

/** Sends SIGTERM. Returns the exit code, or the signal that ended the process. */
async function stop(): Promise<number | string> {
  const ended = once(child as ChildProcess, 'exit');
  child?.kill('SIGTERM');
  const [code, signal] = (await ended) as [number | null, string | null];
  return code ?? signal ?? '';
}

test('a service whose log disk is full serves every request and stops on SIGTERM', async () => {
  const service = await startLoggingTo(openSync('/dev/full', 'w'));
  const { access_token: token } = await service.register();
  for (let count = 0; count < 20; count += 1) expect((await service.get('/me', token)).status).toBe(200);
  expect((await service.get('/healthz')).status).toBe(200);
  expect(await service.scrape()).toMatch(/^keyturn_log_lines_dropped_total 0$/m); // they wait for room
  expect(await stop()).toBe(0);
}, 30_000);

const mounts = process.getuid?.() === 0 && platform() === 'linux';
if (!mounts) console.log('Skips the log disk that becomes full and gets room again: only root on Linux can mount one.');
const describeWithMount = mounts ? describe : describe.skip;
describeWithMount('a log disk that was full and has room again', () => {
  test('gets the next lines, and the dropped ones are counted', async () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]);
    try {
      const [log, ballast] = [join(disk, 'log'), join(disk, 'ballast')];
      writeFileSync(ballast, 'x'.repeat(4_194_304 - 65_536));
      const service = await startLoggingTo(openSync(log, 'a'));
      const dropped = async () => Number(/^keyturn_log_lines_dropped_total (\d+)$/m.exec(await service.scrape())?.[1]);
      const logged = () => readFileSync(log, 'utf8');
      // Every request writes a line. Four times the characters that may wait in memory before lines are dropped.
      for (let round = 0; round < 400 && !((await dropped()) > 10); round += 1) {
        const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await service.get('/none')).status));
        expect(new Set(statuses)).toEqual(new Set([404]));
      }
      const lost = await dropped();
      expect(lost).toBeGreaterThan(10);
      expect(statfsSync(disk).bavail).toBe(0);

      truncateSync(ballast);
      const recovered = `"lines":${lost},"msg":"log lines were dropped`;
      for (let tries = 0; tries < 500 && !logged().includes(recovered); tries += 1) await sleep(20);
      expect(logged()).toContain(recovered);
      expect(await dropped()).toBe(lost);
      const { headers } = await service.get('/none');
      const next = `"request_id":"${String(headers['x-request-id'])}"`;
      for (let tries = 0; tries < 500 && !logged().includes(next); tries += 1) await sleep(20);
      const lines = logged().trimEnd().split('\n');
      expect(lines.filter((line) => !(line.startsWith('{') && line.endsWith('}')))).toEqual([]);
      expect(lines.at(-1)).toContain(next);
      expect(await stop()).toBe(0);
    } finally {
      child?.kill('SIGKILL');
      execFileSync('umount', ['-l', disk]);
    }
  }, 60_000);
});

test('a service whose log reader has stalled serves every request and stops on SIGTERM', async () => {
  const { fd } = openPipe();
  const service = await startLoggingTo(fd);
  const { access_token: token } = await service.register();
  for (let count = 0; count < 500; count += 1) expect((await service.get('/me', token)).status).toBe(200);
  await new Promise((resolve) => setTimeout(resolve, 1200)); // then the output counts as blocked
  // Node cannot end a thread that is blocked in write(2), so such a process kills itself. On a non-blocking pipe there is none.
  expect([0, 'SIGKILL']).toContain(await stop());
}, 30_000);

test('a service whose log reader has gone serves every request and stops on SIGTERM', async () => {
  const service = await startLoggingTo('pipe');
  child?.stdout?.destroy();
  child?.stderr?.destroy();
  const { access_token: token } = await service.register();
  for (let count = 0; count < 20; count += 1) expect((await service.get('/me', token)).status).toBe(200);
  expect(await service.scrape()).toMatch(/^keyturn_log_lines_dropped_total 0$/m);
  expect(await stop()).toBe(0);
}, 30_000);

test('the last lines of a process are written before it exits', () => {
  const script = `
    const { stdout } = await import('./dist/platform/line-writer.js');
    for (let line = 0; line < 5000; line += 1) stdout.write(line + '\\n');
    process.exit(3);`;
  const args = ['--input-type=module', '-e', script];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect([status, stdout]).toEqual([3, Array.from({ length: 5000 }, (_, line) => `${line}\n`).join('')]);
});

test('lines that wait are written in order when the reader continues, and dropped ones are counted', async () => {
  const { path, fd } = openPipe();
  const writer = new LineWriter(fd);
  const recovered = new Promise<number>((resolve) => (writer.onRecovered = resolve));
  for (let line = 0; line < 40_000; line += 1) {
    writer.write(`${line} ${'x'.repeat(100)}\n`);
    if (line % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(writer.dropped).toBeGreaterThan(5000);
  const lines = createInterface(createReadStream(path));
  let read = 0;
  for await (const line of lines) {
    expect(line.startsWith(`${read} `)).toBe(true);
    if ((read += 1) === 40_000 - writer.dropped) break;
  }
  expect(await recovered).toBe(writer.dropped);
  closeSync(fd);
});
