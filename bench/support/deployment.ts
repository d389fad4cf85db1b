// Three processes behind HAProxy, a primary with a synchronous standby, Redis, and the faults that they suffer.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { makeRatchet } from '../../src/core/sessions/refresh-token.ts';
import { deriveMasterKeys } from '../../src/lib/master-keys.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { startProxy } from '../../tests/proxies/proxies.ts';
import { freePort } from '../../tests/support/free-port.ts';
import { startRedis } from '../../tests/support/redis-server.ts';
import { type Server, startService } from './processes.ts';
import { type PostgresServer, type ReplicatedPostgres, startReplicatedPostgres } from './replicated-postgres.ts';
import { seedSessions } from './seed.ts';

/** Longer than HAProxy needs to notice that a process is back. */
const noticeMs = 3000;
/** Until a supervisor notices that the primary is gone. */
const supervisorMs = 2000;

/** A disk for the primary that can be filled. Only root can mount one. */
function mountSmallDisk(folder: string): boolean {
  const disk = join(folder, 'primary');
  mkdirSync(disk, { mode: 0o700 });
  process.once('exit', () => spawnSync('umount', ['--lazy', disk], { stdio: 'ignore' }));
  const args = ['-t', 'tmpfs', '-o', 'size=320m,mode=0700', 'tmpfs', disk];
  return spawnSync('mount', args, { stdio: 'ignore' }).status === 0;
}

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );

async function pause(server: { pause(): void; resume(): void }, seconds: number): Promise<void> {
  server.pause();
  await sleep(seconds * 1000);
  server.resume();
}

async function restart(server: PostgresServer): Promise<void> {
  await server.stop();
  await server.start();
}

/** Fills the disk, and makes Postgres need space for its log. It panics, recovers, and possibly gives up. */
async function fillDisk(primary: PostgresServer, disk: string, seconds: number): Promise<void> {
  const file = join(disk, 'full');
  spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=64k'], { stdio: 'ignore' });
  const deadlineMs = performance.now() + seconds * 1000;
  const nextSegment = "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)), pg_switch_wal()";
  while (performance.now() < deadlineMs && (await succeeds(primary.query(nextSegment)))) await sleep(10);
  await sleep(Math.max(0, deadlineMs - performance.now()));
  rmSync(file);
  await primary.ensureRunning();
  while (!(await succeeds(primary.query('SELECT 1')))) await sleep(100);
}

/** The standby takes over the address of the primary, as with a virtual IP. */
async function failOver({ primary, standby }: ReplicatedPostgres): Promise<void> {
  await primary.kill();
  await sleep(supervisorMs);
  await standby.query('SELECT pg_promote()');
  const relay = createServer((client) => {
    const server = connect(standby.port, '127.0.0.1');
    client.on('error', () => server.destroy()).on('close', () => server.destroy());
    server.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.pipe(server).pipe(client);
  });
  relay.unref().listen(primary.port, '127.0.0.1');
  await once(relay, 'listening');
}

export type Deployment = Awaited<ReturnType<typeof startDeployment>>;

/** Starts everything, and creates one session per client. */
export async function startDeployment(clients: number) {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-availability-'));
  const hasSmallDisk = mountSmallDisk(folder);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true })); // after the disk was unmounted
  const masterKey = randomBytes(32);
  const ratchet = makeRatchet(deriveMasterKeys([masterKey]));
  let tokens: string[] = [];
  const prepare = async (url: string) => {
    await applyMigrations(url);
    const client = new pg.Client(url);
    await client.connect();
    tokens = await seedSessions(client, ratchet, clients).finally(() => client.end());
  };
  const postgres = await startReplicatedPostgres(folder, [await freePort(), await freePort()], prepare);
  const { primary, standby } = postgres;
  let redis = await startRedis();

  let starts = 0;
  const start = (port: number): Promise<Server> =>
    startService(
      {
        HOST: '127.0.0.1',
        PORT: String(port),
        METRICS_PORT: '0',
        ISSUER: 'https://auth.example.com',
        TRUST_PROXY: '1',
        EMAIL_VERIFICATION: 'off',
        DATABASE_URL: postgres.url,
        REDIS_URL: redis.url,
        MASTER_KEYS: masterKey.toString('base64url'),
        SHUTDOWN_DELAY: '5s',
        RATE_LIMIT_DEFAULT: '1000000/1m', // all clients have one address
        RATE_LIMIT_REFRESH: '1000000/1m',
      },
      join(folder, `service.${(starts += 1)}.log`),
    );
  const servicePorts = [await freePort(), await freePort(), await freePort()];
  const services = await Promise.all(servicePorts.map(start));
  const serviceAt = (index: number): Server => {
    const service = services[index];
    if (!service) throw new Error(`process ${index} does not run`);
    return service;
  };
  const proxy = await startProxy('haproxy', servicePorts);

  /** Each resolves when what was broken works again. The order matters: after the failover there is no standby. */
  const faults: Record<string, (() => Promise<void>) | string> = {
    'none, for comparison': () => sleep(5000),
    'Postgres paused for 3 s': () => pause(primary, 3),
    'Postgres paused for 8 s': () => pause(primary, 8),
    'Postgres restarted': () => restart(primary),
    'synchronous standby paused for 8 s': () => pause(standby, 8),
    'Redis paused for 5 s': () => pause(redis, 5),
    'Redis killed, back after 5 s': async () => {
      await redis.kill();
      await sleep(5000);
      redis = await startRedis({ port: redis.port });
    },
    'one process paused for 3 s': async () => {
      const { pid } = serviceAt(0);
      const send = (signal: NodeJS.Signals) => () => void process.kill(pid, signal);
      await pause({ pause: send('SIGSTOP'), resume: send('SIGCONT') }, 3);
    },
    'one process killed, back after 3 s': async () => {
      process.kill(serviceAt(1).pid, 'SIGKILL');
      await sleep(3000);
      services[1] = await start(serviceAt(1).port);
    },
    'each process restarted in turn': async () => {
      for (const index of services.keys()) {
        await serviceAt(index).stop();
        services[index] = await start(serviceAt(index).port);
        await sleep(noticeMs);
      }
    },
    'disk of Postgres full for 8 s': hasSmallDisk ? () => fillDisk(primary, join(folder, 'primary'), 8) : 'needs root',
    'failover to the standby': () => failOver(postgres),
  };

  return {
    proxy,
    ratchet,
    tokens,
    servicePorts,
    postgresPort: primary.port,
    /** By name. A text says why the fault cannot be injected. */
    faults,
    async stop() {
      await proxy.stop();
      await Promise.all(services.map((service) => service.stop()));
      await redis.stop();
      await postgres.close();
    },
  };
}
