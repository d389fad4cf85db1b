import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeClient, password } from '../harness.ts';
import { adminScopes } from '../support/builders.ts';
import { createDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { runCliIn } from '../support/run-cli.ts';

const run = promisify(execFile);
let folder = '';
let port = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-dev-'));
  port = await freePort();
});
const started: ChildProcess[] = [];
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

/** Runs the command of `npm run dev` in its own process group, as a terminal does. */
async function startDev(environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [resolve('bin/keyturn.cjs'), 'dev'], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', PORT: String(port), ...environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let output = '';
  const exited = once(child, 'exit');
  await new Promise<void>((done, failed) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('Press Ctrl-C to stop')) done();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', () => failed(new Error(output)));
  });
  const signal = async (name: NodeJS.Signals) => {
    process.kill(-(child.pid ?? 0), name);
    await exited;
    return child.exitCode;
  };
  return { output: () => output, signal, ...makeClient(`http://localhost:${port}`) };
}

/** The permissions of the files in a folder, in octal. */
async function modesIn(path: string): Promise<Record<string, string>> {
  const names = (await readdir(path)).sort();
  const modes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).mode & 0o777));
  return Object.fromEntries(names.map((name, index) => [name, (modes[index] ?? 0).toString(8)]));
}

const postgresPid = async () =>
  Number((await readFile(join(folder, '.data/postgres/cluster/postmaster.pid'), 'utf8')).split('\n')[0]);

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function waitUntilEnded(pid: number): Promise<void> {
  for (let tries = 0; tries < 100 && isRunning(pid); tries += 1) await new Promise((done) => setTimeout(done, 50));
  expect(isRunning(pid)).toBe(false);
}

/** Runs the example app in the folder of the development instance. Returns what it prints first. */
async function serveExample(environment: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, [resolve('examples/spa/serve.js')], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  const [chunk] = (await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data')])) as [Buffer];
  child.kill();
  return chunk.toString();
}

test('the example app rejects an invalid PORT with a sentence', async () => {
  for (const PORT of ['abc', '65536', '-1', '1.5'])
    expect(await serveExample({ PORT })).toBe('PORT must be a whole number from 0 to 65535.\n');
});

test('the printed commands work, Ctrl-C stops everything, and a restart keeps the data even after a crash', async () => {
  const first = await startDev();
  const lines = first
    .output()
    .split('\n')
    .filter((line) => /^(curl|TOKENS=)/.test(line));
  const { stdout } = await run('sh', ['-c', lines.join('\n')]);
  const responses = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const [registered, loggedIn, refreshed, me] = responses;
  expect(responses).toHaveLength(4);
  expect(refreshed?.['session_id']).toBe(loggedIn?.['session_id']);
  expect(refreshed?.['refresh_token']).not.toBe(loggedIn?.['refresh_token']);
  expect(me).toEqual(registered?.['user']);

  const [, args = ''] = /^npm run cli -- (.+)$/m.exec(first.output()) ?? [];
  const created = await runCliIn(folder, {}, ...args.split(' '));
  expect([created.code, created.stderr]).toEqual([0, `Using the development instance at http://localhost:${port}.\n`]);
  const [, token] = /^http:\/\/localhost:\d+\/reset-password\?token=(kto_[\w-]+)$/m.exec(created.stdout) ?? [];
  expect((await first.post('/reset-password', { token, new_password: password })).status).toBe(204);
  const [admin = ''] = args.split(' ').slice(-1);
  const { body } = await first.call('post', '/login', { body: { email: admin, password, scope: adminScopes } });
  expect((await first.get('/admin/users', body.access_token)).status).toBe(200);
  expect(first.output()).toContain('npm run example:spa');
  expect(await serveExample({ PORT: '0' })).toMatch(
    new RegExp(
      `^Open (http://localhost:\\d+)\\. The service is http://localhost:${port}\\.\n` +
        '`npm run dev` allows this page; another service needs \\1 in CORS_ORIGINS\\.\n$',
    ),
  );
  expect(await modesIn(join(folder, '.data'))).toEqual({
    'instance.json': '600',
    'master-key': '600',
    postgres: '700',
  });
  const [firstPostgres, email] = [await postgresPid(), String(me?.['email'])];
  expect(await first.signal('SIGINT')).toBe(0);
  expect(Object.keys(await modesIn(join(folder, '.data')))).toEqual(['master-key', 'postgres']);
  await waitUntilEnded(firstPostgres);

  const second = await startDev();
  const secondPostgres = await postgresPid();
  expect((await second.login(email)).status).toBe(200);
  expect((await second.refresh(String(refreshed?.['refresh_token']))).status).toBe(200);
  await expect(startDev({ PORT: '0' })).rejects.toThrow(
    /^Error: Postgres did not start in \S+: another Keyturn development server \(pid \d+\) uses this folder\. [^\n]+\n$/,
  );
  await second.signal('SIGKILL');
  expect((await runCliIn(folder, {}, 'keys', 'list')).stderr).toContain('run npm run dev in another terminal');

  const third = await startDev();
  await waitUntilEnded(secondPostgres);
  expect((await third.login(email, password)).status).toBe(200);
  expect(await third.signal('SIGTERM')).toBe(0);
}, 60_000);

test('DATABASE_URL replaces the embedded database', async () => {
  const database = await createDatabase();
  const dev = await startDev({ DATABASE_URL: database.url });
  const { email } = await dev.register();
  expect((await dev.login(email)).status).toBe(200);
  expect((await runCliIn(folder, {}, 'keys', 'list')).stdout).toContain('active');
  expect(await dev.signal('SIGINT')).toBe(0);
  await database.drop();
}, 30_000);
