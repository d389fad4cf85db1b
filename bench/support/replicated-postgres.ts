// A primary with a synchronous standby, which can be paused, killed, restarted and promoted. Linux only.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { type Account, findPostgresBinaries, postgresAccount } from '../../src/dev/postgres-binaries.ts';
import { pathForPostgres, postgresEnvironment } from '../../src/dev/postgres-cluster.ts';

const parentOf = (pid: string): number => {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return 0; // it has ended
  }
};
const childrenOf = (parent: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number);

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended
  }
};

export interface PostgresServer {
  port: number;
  start(): Promise<void>;
  /** Restarts it if it has given up, as a supervisor would. */
  ensureRunning(): Promise<void>;
  /** A fast shutdown. */
  stop(): Promise<void>;
  /** Kills every process of the server. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  query(sql: string): Promise<pg.QueryResult>;
}

interface ServerOptions {
  data: string;
  account: Account;
  program: string;
  port: number;
  url: string;
  settings: Record<string, string>;
}

/** Killed when this process ends. Postgres does not end its paused processes itself. */
const running = new Set<ChildProcess>();
function killTree({ pid = 0 }: ChildProcess): void {
  const pids = [pid, ...childrenOf(pid)];
  for (const each of pids) signal(each, 'SIGKILL');
}
process.once('exit', () => running.forEach(killTree));

function makeServer({ data, account, program, port, url, settings }: ServerOptions): PostgresServer {
  let server: ChildProcess | undefined;
  const all = (name: NodeJS.Signals) => {
    const pid = server?.pid ?? 0;
    for (const each of [pid, ...childrenOf(pid)]) signal(each, name); // the first one starts no others while it is paused
  };
  const hasEnded = () => !server || server.exitCode !== null || server.signalCode !== null;
  const ended = async () => {
    if (server && !hasEnded()) await once(server, 'exit');
  };
  const start = async () => {
    const flags = Object.entries({ ...settings, port: String(port) }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]);
    const log = openSync(`${data}.log`, 'a');
    const child = spawn(program, ['-D', pathForPostgres(data, account), ...flags], {
      ...account,
      cwd: data,
      detached: true, // not interrupted by Ctrl-C
      env: postgresEnvironment,
      stdio: ['ignore', log, log],
    });
    server = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    while (!hasEnded()) {
      const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
      if (Number(lines[0]) === child.pid && ['ready', 'standby'].includes(lines[7]?.trim() ?? '')) return;
      await sleep(5);
    }
    throw new Error(`Postgres did not start: see ${data}.log`);
  };
  return {
    port,
    start,
    async ensureRunning() {
      if (hasEnded()) await start();
    },
    async stop() {
      all('SIGCONT');
      if (server?.pid && !hasEnded()) signal(server.pid, 'SIGINT');
      await ended();
    },
    async kill() {
      if (server) killTree(server);
      await ended();
    },
    pause: () => all('SIGSTOP'),
    resume: () => all('SIGCONT'),
    async query(sql) {
      const client = new pg.Client({ connectionString: url, query_timeout: 5000 });
      client.on('error', () => {});
      await client.connect();
      return client.query(sql).finally(() => client.end().catch(() => {}));
    },
  };
}

const common = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  max_wal_size: '64MB',
  min_wal_size: '32MB',
  wal_keep_size: '32MB',
  wal_retrieve_retry_interval: '200ms',
};

export interface ReplicatedPostgres {
  /** Of the primary. */
  url: string;
  primary: PostgresServer;
  standby: PostgresServer;
  close(): Promise<void>;
}

/** Creates both servers in `folder`. `prepare` fills the database before there is a standby. Both servers run when this resolves. */
export async function startReplicatedPostgres(
  folder: string,
  ports: readonly [number, number],
  prepare: (url: string) => Promise<void>,
): Promise<ReplicatedPostgres> {
  const [primaryFolder, standbyFolder] = [join(folder, 'primary'), join(folder, 'standby')];
  const first = await startEmbeddedPostgres({ directory: primaryFolder, durable: true });
  const url = new URL(first.url);
  await prepare(first.url).finally(() => first.stop());
  await mkdir(standbyFolder, { mode: 0o700 });
  const [data, copy] = [join(primaryFolder, 'cluster'), join(standbyFolder, 'cluster')];
  const { status, stderr } = spawnSync('cp', ['-a', data, copy], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const account = await postgresAccount(data);
  await writeFile(join(copy, 'standby.signal'), '');
  if (account.uid !== undefined) await chown(join(copy, 'standby.signal'), account.uid, account.gid);
  const { postgres: program, locks } = await findPostgresBinaries(account);
  const [primaryUrl, standbyUrl] = ports.map((port) => Object.assign(new URL(url), { port: String(port) }).href) as [
    string,
    string,
  ];
  const login = `user=postgres password=${url.password}`;
  const primary = makeServer({
    data,
    account,
    program,
    port: ports[0],
    url: primaryUrl,
    settings: { ...common, synchronous_standby_names: '*' },
  });
  const standby = makeServer({
    data: copy,
    account,
    program,
    port: ports[1],
    url: standbyUrl,
    settings: { ...common, primary_conninfo: `host=127.0.0.1 port=${ports[0]} ${login}` },
  });
  await primary.start();
  await standby.start();
  return {
    url: primaryUrl,
    primary,
    standby,
    async close() {
      await Promise.all([primary.kill(), standby.kill()]);
      for (const lock of locks) await lock.release();
    },
  };
}
