// A real Postgres for development, tests and benchmarks, from the binaries of an npm package. Works without Docker and as root.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../lib/errors.ts';
import { createDatabaseIfMissing } from '../platform/postgres/create-database.ts';
import { portOf } from '../platform/process/lifecycle.ts';
import type { ProcessLock } from './process-lock.ts';
import { openCluster, postgresEnvironment, pathForPostgres, type Cluster } from './postgres-cluster.ts';

export interface EmbeddedPostgres {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Contains the cluster, its password and its log. Created if missing. */
  directory: string;
  /** If false, nothing is synced to disk, and the folder is removed by `stop` or when this process ends. */
  durable: boolean;
  /** Postgres settings by name, which override the defaults. */
  settings?: Record<string, string>;
}

type Settings = Record<string, string>;

const defaultSettings: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
};
const temporarySettings: Settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
const databaseName = 'keyturn';

/** Starts Postgres and waits until it accepts connections. Postgres stops when this process ends, even after SIGKILL. @throws StartupError */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(options.directory);
  const locks: ProcessLock[] = [];
  let server: Server | undefined;
  const stop = async () => {
    await server?.end();
    for (const lock of locks.splice(0).reverse()) await lock.release();
  };
  try {
    const cluster = await openCluster(folder, options.durable, locks);
    const settings = { ...defaultSettings, ...(options.durable ? {} : temporarySettings), ...options.settings };
    server = await startServer(cluster, settings);
    const url = new URL(`postgresql://postgres:${cluster.password}@127.0.0.1:${server.port}/postgres`);
    if (options.durable) {
      await createDatabaseIfMissing(url.href, databaseName);
      url.pathname = databaseName;
    }
    let stopped: Promise<void> | undefined;
    return { url: url.href, pid: server.pid, stop: () => (stopped ??= stop()) };
  } catch (cause) {
    await stop();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartupError(`Postgres did not start in ${folder}: ${reason}`, { cause });
  }
}

interface Server {
  port: number;
  pid: number;
  end(): Promise<void>;
}

const maxAttempts = 5;

async function startServer(cluster: Cluster, settings: Settings): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const guard = await spawnGuarded(cluster, { ...settings, port: `${port}` });
    const pid = await waitUntilReady(cluster, guard);
    if (pid !== undefined) return { port, pid, end: () => end(guard) };
    await end(guard);
    const log = await readFile(cluster.log, 'utf8');
    const portWasTaken = log.includes('Address already in use');
    if (!portWasTaken || attempt === maxAttempts) {
      throw new Error(
        `fix the error in its log, or move the folder away to start with a new database.\n${lastLines(log)}`,
      );
    }
  }
}

const lastLines = (log: string): string => log.trimEnd().split('\n').slice(-10).join('\n');

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer().once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const port = portOf(probe);
      probe.close(() => found(port));
    });
  });
}

// The guard's stdin ends when this process closes it or ends. The guard then requests a fast shutdown (SIGINT) and waits for it.
const guardScript = `
exec 9<&0
"$@" </dev/null 9<&- & server=$!
{ read -r _ <&9; kill -INT "$server"; } & watcher=$!
wait "$server"
kill "$watcher" 2>/dev/null
wait`;

async function spawnGuarded(cluster: Cluster, settings: Settings): Promise<ChildProcess> {
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = [cluster.postgres, '-D', pathForPostgres(cluster.data, cluster.account), ...flags];
  const log = openSync(cluster.log, 'w', 0o600);
  const guard = spawn('/bin/sh', ['-c', guardScript, 'sh', ...command], {
    ...cluster.account,
    cwd: cluster.data,
    detached: true, // not interrupted by Ctrl-C
    env: postgresEnvironment,
    stdio: ['pipe', 'ignore', log, ...cluster.locks.map((lock) => lock.inherit)],
  });
  closeSync(log);
  await once(guard, 'spawn');
  guard.unref();
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  return guard;
}

const pollMs = 5;
const startTimeoutMs = 60_000;

/** Returns the pid of the server; undefined if it has ended or is not ready in time. */
async function waitUntilReady(cluster: Cluster, guard: ChildProcess): Promise<number | undefined> {
  for (let waitedMs = 0; waitedMs < startTimeoutMs && !hasEnded(guard); waitedMs += pollMs) {
    await sleep(pollMs);
    const lines = (await readFile(join(cluster.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    const [pid, status] = [lines[0], lines[7]];
    if (status?.trim() === 'ready') return Number(pid);
  }
  return undefined;
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function end(guard: ChildProcess): Promise<void> {
  guard.stdin?.end();
  if (hasEnded(guard)) return;
  guard.ref();
  await once(guard, 'exit');
}
