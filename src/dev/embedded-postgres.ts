// A real Postgres for development, tests and benchmarks, from npm's binaries: no Docker, no system package, root or not.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartupError } from '../lib/errors.ts';
import type { ProcessLock } from './process-lock.ts';
import { openCluster, POSTGRES_ENV, seenFrom, type Cluster } from './postgres-cluster.ts';

export interface EmbeddedPostgres {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Holds the cluster, its password and its log; made when missing. */
  directory: string;
  /** false: nothing is synced to disk, and the folder is removed by stop() or when this process dies. */
  durable: boolean;
  /** Postgres settings by name, over the defaults. */
  settings?: Record<string, string>;
}

type Settings = Record<string, string>;

const DEFAULTS: Settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: '100' };
const THROW_AWAY: Settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
const DATABASE = 'keyturn';

/** Resolves when it answers. It stops by itself when this process dies, even by SIGKILL. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(options.directory);
  const holds: ProcessLock[] = [];
  let server: Server | undefined;
  const stop = async () => {
    await server?.end();
    for (const hold of holds.splice(0).reverse()) await hold.release();
  };
  try {
    const cluster = await openCluster(folder, options.durable, holds);
    const settings = { ...DEFAULTS, ...(options.durable ? {} : THROW_AWAY), ...options.settings };
    server = await startServer(cluster, settings);
    const url = new URL(`postgresql://postgres:${cluster.password}@127.0.0.1:${server.port}/postgres`);
    if (options.durable) {
      await createWhenMissing(url.href);
      url.pathname = DATABASE;
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

const PORTS_TO_TRY = 5;

async function startServer(cluster: Cluster, settings: Settings): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const guard = await spawnGuarded(cluster, { ...settings, port: `${port}` });
    const pid = await untilReady(cluster, guard);
    if (pid !== undefined) return { port, pid, end: () => end(guard) };
    await end(guard);
    const log = await readFile(cluster.log, 'utf8');
    const portWasTaken = log.includes('Address already in use');
    if (!portWasTaken || attempt === PORTS_TO_TRY) {
      throw new Error(`mend what its log says, or move the folder away to begin anew.\n${lastLines(log)}`);
    }
  }
}

const lastLines = (log: string): string => log.trimEnd().split('\n').slice(-10).join('\n');

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer().once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => found(port));
    });
  });
}

// Its stdin ends when we close it or die; then it asks for a fast shutdown (SIGINT) and waits for the end of it.
const GUARD = `
exec 9<&0
"$@" </dev/null 9<&- & server=$!
{ read -r _ <&9; kill -INT "$server"; } & watcher=$!
wait "$server"
kill "$watcher" 2>/dev/null
wait`;

async function spawnGuarded(cluster: Cluster, settings: Settings): Promise<ChildProcess> {
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = [cluster.postgres, '-D', seenFrom(cluster.data, cluster.account), ...flags];
  const log = openSync(cluster.log, 'w', 0o600);
  const guard = spawn('/bin/sh', ['-c', GUARD, 'sh', ...command], {
    ...cluster.account,
    cwd: cluster.data,
    detached: true, // a session of its own, where Ctrl-C does not reach it
    env: POSTGRES_ENV,
    stdio: ['pipe', 'ignore', log, ...cluster.holds.map((hold) => hold.inherit)],
  });
  closeSync(log);
  await once(guard, 'spawn');
  guard.unref();
  (guard.stdin as Socket).unref();
  return guard;
}

const POLL_MS = 5;
const READY_WITHIN_MS = 60_000;

/** The pid of the server; undefined when it has ended or has not recovered in time. */
async function untilReady(cluster: Cluster, guard: ChildProcess): Promise<number | undefined> {
  for (let waitedMs = 0; waitedMs < READY_WITHIN_MS && !hasEnded(guard); waitedMs += POLL_MS) {
    await sleep(POLL_MS);
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

async function createWhenMissing(adminUrl: string): Promise<void> {
  const admin = new pg.Client(adminUrl);
  await admin.connect();
  try {
    const { rowCount } = await admin.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rowCount === 0) await admin.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await admin.end();
  }
}
