import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findRedis } from './redis-binary.ts';
import { withRedis } from './redis-client.ts';
import { createRedisDatabase } from './redis-database.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

const NOBODY = 65_534;

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp('/tmp/keyturn-redis-'); // not os.tmpdir(), which may be private to one user
  await chmod(scratch, 0o755);
});
const started: RedisServer[] = [];
afterAll(async () => {
  await Promise.all(started.map((server) => server.kill()));
  await rm(scratch, { recursive: true, force: true });
});

async function start(options?: { port: number }) {
  const server = await startRedis(options);
  started.push(server);
  return server;
}

/** Runs a module in a separate process and returns the first line that it prints. */
async function runInProcess(script: string, env: Record<string, string> = {}) {
  const flags = ['--import', './scripts/typescript.js', '--input-type=module', '--eval', script];
  const child = spawn(process.execPath, flags, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface(child.stdout)) return { child, line };
  throw new Error(`the process printed nothing: ${script}`);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function eventually(condition: () => boolean) {
  for (let tries = 0; tries < 200 && !condition(); tries++) await sleep(25);
  expect(condition()).toBe(true);
}

const set = (url: string, key: string, value: string) => withRedis(url, (client) => client.set(key, value));
const get = (url: string, key: string) => withRedis(url, (client) => client.get(key));

test('a started Redis replies, has the reported pid and port, and ends when it is stopped', async () => {
  const server = await start();
  const info = await withRedis(server.url, (client) => client.info('server'));
  expect(info).toContain(`process_id:${server.pid}\r\n`);
  expect(info).toContain(`tcp_port:${server.port}\r\n`);
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
  await expect(get(server.url, 'key')).rejects.toThrow('ECONNREFUSED');
});

test('a paused Redis does not reply, and replies to the pending command after it is resumed', async () => {
  const server = await start();
  await withRedis(server.url, async (client) => {
    server.pause();
    let hasReplied = false;
    const reply = client.incr('counter').finally(() => (hasReplied = true));
    await sleep(300);
    expect(hasReplied).toBe(false);
    server.resume();
    expect(await reply).toBe(1);
  });
  server.pause();
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
});

test('a new Redis on the port of a killed one starts without its data', async () => {
  const first = await start();
  await set(first.url, 'key', 'value');
  await first.kill();
  expect(isAlive(first.pid)).toBe(false);

  const second = await start({ port: first.port });
  expect(second.url).toBe(first.url);
  expect(second.pid).not.toBe(first.pid);
  expect(await get(second.url, 'key')).toBeNull();
  await second.stop();
  await first.stop(); // can be called again and does not stop the second server
});

test('starting on a used port rejects with the error of the server', async () => {
  const server = await start();
  await expect(start({ port: server.port })).rejects.toThrow(/did not start:[^]*Address already in use/);
  expect(await set(server.url, 'key', 'value')).toBe('OK');
  await server.stop();
});

test('the servers of a killed process end, even a paused one', async () => {
  const { child, line } = await runInProcess(`
    import { startRedis } from './tests/support/redis-server.ts';
    const [running, paused] = [await startRedis(), await startRedis()];
    paused.pause();
    console.log(JSON.stringify([running.pid, paused.pid]));
    setInterval(() => {}, 1000);`);
  const pids: number[] = JSON.parse(line);
  expect(pids.map(isAlive)).toEqual([true, true]);
  child.kill('SIGKILL');
  await eventually(() => !pids.some(isAlive));
});

test('a server that was not stopped does not keep its parent process running, and ends with it', async () => {
  const { child, line } = await runInProcess(`
    import { startRedis } from './tests/support/redis-server.ts';
    console.log((await startRedis()).pid);`);
  if (child.exitCode === null) await once(child, 'exit');
  expect(child.exitCode).toBe(0);
  await eventually(() => !isAlive(Number(line)));
});

test('each test gets its own empty database of the shared Redis', async () => {
  const [one, other] = await Promise.all([createRedisDatabase(), createRedisDatabase()]);
  expect(one.url).not.toBe(other.url);
  await set(one.url, 'counter', '7');
  expect(await get(other.url, 'counter')).toBeNull();

  await one.drop();
  expect(await get(one.url, 'counter')).toBeNull();
  await other.drop();
});

test('a test never gets a database that contains data', async () => {
  const server = await start();
  await set(`${server.url}/0`, 'foreign-key', 'value');
  const published = process.env['TEST_REDIS_URL'];
  process.env['TEST_REDIS_URL'] = server.url;
  try {
    const database = await createRedisDatabase();
    expect(new URL(database.url).pathname).toBe('/1');
    await database.drop();
    expect(await get(`${server.url}/0`, 'foreign-key')).toBe('value');
  } finally {
    if (published) process.env['TEST_REDIS_URL'] = published;
    else delete process.env['TEST_REDIS_URL'];
  }
  await server.stop();
});

test('the first redis-server or valkey-server on the PATH is used', async () => {
  const folders = ['nothing', 'not-executable', 'valkey', 'redis'].map((name) => join(scratch, 'path', name));
  const [, notExecutable = '', valkey = '', redis = ''] = folders;
  for (const folder of folders) await mkdir(folder, { recursive: true });
  await writeFile(join(notExecutable, 'redis-server'), '', { mode: 0o644 });
  await writeFile(join(valkey, 'valkey-server'), '', { mode: 0o755 });
  await writeFile(join(redis, 'redis-server'), '', { mode: 0o755 });
  const found = await findRedis({ path: folders.join(delimiter), cache: join(scratch, 'unused') });
  expect(found).toEqual({ program: join(valkey, 'valkey-server'), env: {} });
});

test('if no Redis is available, a one-line error says what to do', async () => {
  const [emptyPath, cache] = [join(scratch, 'nothing'), join(scratch, 'no-apt/redis')];
  const script = `
    import { findRedis } from './tests/support/redis-binary.ts';
    await findRedis({ cache: '${cache}' }).catch((error) => console.log(JSON.stringify(error.message)));`;
  const { line } = await runInProcess(script, { PATH: emptyPath });
  expect(JSON.parse(line)).toBe(
    "redis-server is not on the PATH, and Debian's package could not be unpacked (spawn apt-get ENOENT). " +
      'Install redis-server or valkey-server, or set REDIS_URL for the tests that share a Redis.',
  );
});

const isOnPath = (program: string) =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
// If a Redis is installed, nothing is unpacked, and the tests need no network.
const isUnpackingNeeded = isOnPath('apt-get') && !isOnPath('redis-server') && !isOnPath('valkey-server');
const isRoot = process.getuid?.() === 0;

const describeUnpacking = isUnpackingNeeded && isRoot ? describe : describe.skip;
describeUnpacking('on Debian without a Redis', () => {
  test('two concurrent runs of an unprivileged user without package lists unpack one Redis', async () => {
    const place = join(scratch, 'a user');
    const cache = join(place, 'cache/redis');
    await mkdir(join(place, 'home'), { recursive: true });
    await mkdir(join(place, 'cache'));
    await chown(join(place, 'cache'), NOBODY, NOBODY);
    await writeFile(join(place, 'apt.conf'), `Dir::State::lists "${join(place, 'no-lists')}";`);
    // Imported as root, because the project may be readable only by root.
    const script = `
      import { findRedis } from './tests/support/redis-binary.ts';
      process.setgroups([]);
      process.setgid(${NOBODY});
      process.setuid(${NOBODY});
      console.log(JSON.stringify(await findRedis({ cache: '${cache}' })));`;
    const env = { HOME: join(place, 'home'), APT_CONFIG: join(place, 'apt.conf') };
    const [first, second] = await Promise.all([runInProcess(script, env), runInProcess(script, env)]);

    const program = join(cache, 'usr/bin/redis-server');
    const libraries: unknown = expect.stringContaining(join(cache, 'usr/lib'));
    expect(JSON.parse(first.line)).toEqual({ program, env: { LD_LIBRARY_PATH: libraries } });
    expect(second.line).toBe(first.line);
    expect(await readdir(join(place, 'cache'))).toEqual(['redis']);
    expect((await stat(program)).uid).toBe(NOBODY);

    const { ino } = await stat(program);
    expect(JSON.parse(first.line)).toEqual(await findRedis({ path: '', cache }));
    expect((await stat(program)).ino).toBe(ino); // not unpacked again
  }, 180_000);
});
