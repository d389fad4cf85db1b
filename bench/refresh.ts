// npm run bench:refresh [-- --json] [--rounds 5] [--seconds 4]: compares the cost of a refresh with its lower bound.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { deriveMasterKeys } from '../src/lib/master-keys.ts';
import { makeRatchet } from '../src/core/sessions/refresh-token.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { applyMigrations } from '../src/platform/migrations.ts';
import type { FloorSettings } from './floor.ts';
import { startCountingProxy } from './support/counting-proxy.ts';
import { forkScript, type Server, startFloor, startService } from './support/processes.ts';
import { type Cell, table, verdictLine, verdicts } from './support/report.ts';
import { type Figures, medianOf, runLoad, runRound, type Variant } from './support/round.ts';
import { seedSessions } from './support/seed.ts';
import { captureRotation } from './support/statement.ts';

const connectionCounts = [1, 16, 64];
/** Enough that a session's grace period has ended before its next rotation, as in production. */
const sessionsPerVariant = 30_000;
const refreshGracePeriodSeconds = 1;
const refreshTtlDays = 30;
const accessTtlMinutes = 15;
const poolMax = 10;
const issuer = 'https://auth.example.com';
const masterKey = randomBytes(32);
const ratchet = makeRatchet(deriveMasterKeys([masterKey]));

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
  },
});
const print = (text: string) => void (options.json ? process.stderr : process.stdout).write(`${text}\n`);

const serviceSettings = (databaseUrl: string): Record<string, string> => ({
  HOST: '127.0.0.1',
  PORT: '0',
  METRICS_PORT: '0',
  ISSUER: issuer,
  TRUST_PROXY: 'off',
  EMAIL_VERIFICATION: 'off',
  DATABASE_URL: databaseUrl,
  DATABASE_POOL_MAX: String(poolMax),
  MASTER_KEYS: masterKey.toString('base64url'),
  ACCESS_TTL: `${accessTtlMinutes}m`,
  REFRESH_TTL: `${refreshTtlDays}d`,
  REFRESH_GRACE_PERIOD: `${refreshGracePeriodSeconds}s`,
  RATE_LIMIT_DEFAULT: '1000000/1m', // all requests come from one address
});

type Start = (databaseUrl: string) => Promise<Server>;

async function makeStarts(folder: string): Promise<Record<Variant['name'], Start>> {
  const statement = await captureRotation(ratchet, {
    refreshTtlSeconds: refreshTtlDays * 86_400,
    refreshGracePeriodSeconds,
  });
  const floor = {
    poolMax,
    masterKey: masterKey.toString('base64url'),
    issuer,
    accessTtlSeconds: accessTtlMinutes * 60,
    statement,
  };
  return {
    service: (databaseUrl) => startService(serviceSettings(databaseUrl), join(folder, 'service.log')),
    floor: (databaseUrl) => startFloor({ ...floor, databaseUrl } satisfies FloorSettings),
  };
}

/** Counts statements in a separate phase because the proxy takes time. Connections are opened before the count starts. */
async function countStatements(variant: Omit<Variant, 'server'>, start: Start, databaseUrl: string): Promise<number> {
  const proxy = await startCountingProxy(databaseUrl);
  const server = await start(proxy.url);
  const limit = { seconds: 20, maxRefreshes: 1000 };
  await runLoad({ ...variant, server }, 64, limit);
  const before = proxy.statements();
  const { refreshes } = await runLoad({ ...variant, server }, 64, limit);
  const counted = proxy.statements() - before;
  await server.stop();
  proxy.close();
  return counted / refreshes;
}

async function checkRotations(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ share: number }>(
    'SELECT avg((cardinality(turned_at) > 1)::int)::float8 AS share FROM sessions',
  );
  const share = rows[0]?.share ?? 1;
  if (share > 0.01)
    throw new Error(`${share * 100}% of the sessions were rotated twice in a grace period: use more sessions`);
}

interface Run {
  variant: Variant;
  connections: number;
  statements: number;
  rounds: Figures[];
}

async function prepare(databaseUrl: string, client: pg.Client, starts: Record<Variant['name'], Start>): Promise<Run[]> {
  const prepared: Omit<Run, 'connections' | 'rounds'>[] = [];
  for (const name of ['service', 'floor'] as const) {
    print(`seeding ${sessionsPerVariant} sessions for the ${name}, counting its statements`);
    const tokens = await seedSessions(client, ratchet, sessionsPerVariant);
    const { child: load } = await forkScript(new URL('support/load.ts', import.meta.url), { tokens });
    const statements = await countStatements({ name, load }, starts[name], databaseUrl);
    prepared.push({ variant: { name, load, server: await starts[name](databaseUrl) }, statements });
  }
  await client.query('VACUUM ANALYZE');
  await client.query('CHECKPOINT');
  return connectionCounts.flatMap((connections) => prepared.map((each) => ({ ...each, connections, rounds: [] })));
}

async function measure(postgres: EmbeddedPostgres, client: pg.Client, starts: Record<Variant['name'], Start>) {
  const runs = await prepare(postgres.url, client, starts);
  const seconds = Number(options.seconds);
  for (const { variant, connections } of runs) await runLoad(variant, connections, { seconds: seconds / 2 });
  for (let round = 1; round <= Number(options.rounds); round += 1) {
    print(`round ${round} of ${options.rounds}`);
    for (const { variant, connections, rounds } of runs)
      rounds.push(await runRound(variant, connections, seconds, { client, pid: postgres.pid }));
  }
  await checkRotations(client);
  await Promise.all([...new Set(runs.map(({ variant }) => variant.server))].map((server) => server.stop()));
  return runs.map(({ variant, connections, statements, rounds }): Cell => ({
    variant: variant.name,
    connections,
    statements,
    ...medianOf(rounds),
  }));
}

async function run(folder: string): Promise<{ machine: string; cells: Cell[] }> {
  const postgres = await startEmbeddedPostgres({ directory: join(folder, 'postgres'), durable: true });
  const client = new pg.Client(postgres.url);
  try {
    await applyMigrations(postgres.url);
    await client.connect();
    await client.query('CREATE EXTENSION pg_walinspect');
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    const machine = `${availableParallelism()} cores (${cpus()[0]?.model}), node ${process.version}, Postgres ${rows[0]?.server_version}`;
    print(machine);
    return { machine, cells: await measure(postgres, client, await makeStarts(folder)) };
  } finally {
    await client.end();
    await postgres.stop();
  }
}

if (process.platform !== 'linux') throw new Error('CPU times are read from /proc, so this runs on Linux only');
const folder = mkdtempSync(join(tmpdir(), 'keyturn-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const { machine, cells } = await run(folder);
const found = verdicts(cells);
if (options.json) process.stdout.write(`${JSON.stringify({ machine, cells, verdicts: found }, undefined, 2)}\n`);
print(
  `\nmedians of ${options.rounds} rounds of ${options.seconds} s; WAL is read with pg_walinspect, without full-page images\n`,
);
print(`${table(cells)}\n\n${found.map(verdictLine).join('\n')}`);
process.exit(found.every(({ reached }) => reached) ? 0 : 1);
