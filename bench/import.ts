// npm run bench:import [-- --json] [--users 1000000]: the speed of `users import`, and whether its memory stays constant.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { applyMigrations } from '../src/platform/migrations.ts';
import { rssMegabytes } from './support/processes.ts';

const minUsersPerSecond = 2000;
/** The maximum growth of memory between 10% and the end. */
const maxGrowthMegabytes = 40;
const sampleIntervalMs = 250;

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, users: { type: 'string', default: '1000000' } },
});
const users = Number(options.users);
const print = (text: string) => void (options.json ? process.stderr : process.stdout).write(`${text}\n`);

/** A line like in an export. The hash is valid, but matches no password. */
const lineOf = (index: number) =>
  JSON.stringify({
    email: `user.${index}@example.com`,
    display_name: `User ${index}`,
    email_verified: index % 2 === 0,
    roles: ['user'],
    password_hash: `$argon2id$v=19$m=65536,t=3,p=4$${Buffer.from(String(index).padStart(16, '0')).toString('base64').slice(0, 22)}$${'A'.repeat(43)}`,
    created_at: new Date(1_600_000_000_000 + index * 1000).toISOString(),
  });

async function writeUsers(path: string): Promise<void> {
  const file = createWriteStream(path);
  for (let index = 0; index < users; index += 1) if (!file.write(`${lineOf(index)}\n`)) await once(file, 'drain');
  file.end();
  await once(file, 'close');
}

interface Sample {
  lines: number;
  megabytes: number;
}

/** Runs the import and samples its progress and memory. */
async function watchImport(
  databaseUrl: string,
  path: string,
  client: pg.Client,
): Promise<{ samples: Sample[]; seconds: number }> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ['bin/keyturn.cjs', 'cli', 'users', 'import', path], {
    env: { PATH: process.env['PATH'], DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const samples: Sample[] = [];
  const timer = setInterval(() => {
    const megabytes = rssMegabytes(child.pid ?? 0);
    const query = client.query<{ lines: number }>('SELECT lines FROM user_imports');
    query.then(
      ({ rows }) => megabytes > 0 && samples.push({ lines: rows[0]?.lines ?? 0, megabytes }),
      () => {},
    );
  }, sampleIntervalMs);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearInterval(timer);
  if (code !== 0) throw new Error(`the import exited with ${code}`);
  return { samples, seconds: (performance.now() - startedMs) / 1000 };
}

/** The maximum memory between two shares of the lines. */
const maxMegabytes = (samples: Sample[], from: number, to: number) =>
  Math.max(
    ...samples.filter(({ lines }) => lines >= users * from && lines <= users * to).map(({ megabytes }) => megabytes),
  );

const folder = mkdtempSync(join(tmpdir(), 'keyturn-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'users.ndjson');
print(`${availableParallelism()} cores (${cpus()[0]?.model}), node ${process.version}; writing ${users} users`);
await writeUsers(path);
const postgres = await startEmbeddedPostgres({ directory: join(folder, 'postgres'), durable: true });
const client = new pg.Client(postgres.url);
try {
  await applyMigrations(postgres.url);
  await client.connect();
  const { samples, seconds } = await watchImport(postgres.url, path, client);
  const { rows } = await client.query<{ users: number; events: number }>(
    'SELECT (SELECT count(*)::int FROM users) AS users, (SELECT count(*)::int FROM audit_events) AS events',
  );
  const [usersPerSecond, at10, at100] = [
    users / seconds,
    maxMegabytes(samples, 0.05, 0.15),
    maxMegabytes(samples, 0.9, 1),
  ];
  const figures = { users, seconds, usersPerSecond, megabytesAt10: at10, megabytesAt100: at100, ...rows[0] };
  if (options.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  const isReached =
    usersPerSecond >= minUsersPerSecond && at100 - at10 <= maxGrowthMegabytes && rows[0]?.users === users;
  print(`${Math.round(usersPerSecond)} users/s (minimum ${minUsersPerSecond}), ${Math.round(seconds)} s in total`);
  print(
    `memory: ${Math.round(at10)} MB around 10 %, ${Math.round(at100)} MB after 90 % (maximum growth ${maxGrowthMegabytes})`,
  );
  print(isReached ? 'reached' : 'MISSED');
  process.exitCode = isReached ? 0 : 1;
} finally {
  await client.end();
  await postgres.stop();
}
