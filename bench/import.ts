// npm run bench:import [-- --json] [--users 1000000]: how fast `users import` is, and whether its memory stays flat.
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

const usersPerSecondMin = 2000;
/** How much more memory at the end than after a tenth still counts as flat. */
const growthMegabytesMax = 40;
const lookEveryMs = 250;

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, users: { type: 'string', default: '1000000' } },
});
const users = Number(options.users);
const say = (text: string) => void (options.json ? process.stderr : process.stdout).write(`${text}\n`);

/** A line as an export has it; the hash is of the form of a hash, and of no password. */
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

interface Look {
  lines: number;
  megabytes: number;
}

/** What the import had done, and what memory it had, again and again until it ended. */
async function watchImport(
  databaseUrl: string,
  path: string,
  client: pg.Client,
): Promise<{ looks: Look[]; seconds: number }> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ['bin/keyturn.cjs', 'cli', 'users', 'import', path], {
    env: { PATH: process.env['PATH'], DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const looks: Look[] = [];
  const timer = setInterval(() => {
    const megabytes = rssMegabytes(child.pid ?? 0);
    const query = client.query<{ lines: number }>('SELECT lines FROM user_imports');
    query.then(
      ({ rows }) => megabytes > 0 && looks.push({ lines: rows[0]?.lines ?? 0, megabytes }),
      () => {},
    );
  }, lookEveryMs);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearInterval(timer);
  if (code !== 0) throw new Error(`the import exited with ${code}`);
  return { looks, seconds: (performance.now() - startedMs) / 1000 };
}

/** The highest of the looks from one share of the lines to another. */
const highest = (looks: Look[], from: number, to: number) =>
  Math.max(
    ...looks.filter(({ lines }) => lines >= users * from && lines <= users * to).map(({ megabytes }) => megabytes),
  );

const folder = mkdtempSync(join(tmpdir(), 'keyturn-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'users.ndjson');
say(`${availableParallelism()} cores (${cpus()[0]?.model}), node ${process.version}; writing ${users} users`);
await writeUsers(path);
const postgres = await startEmbeddedPostgres({ directory: join(folder, 'postgres'), durable: true });
const client = new pg.Client(postgres.url);
try {
  await applyMigrations(postgres.url);
  await client.connect();
  const { looks, seconds } = await watchImport(postgres.url, path, client);
  const { rows } = await client.query<{ users: number; events: number }>(
    'SELECT (SELECT count(*)::int FROM users) AS users, (SELECT count(*)::int FROM audit_events) AS events',
  );
  const [usersPerSecond, at10, at100] = [users / seconds, highest(looks, 0.05, 0.15), highest(looks, 0.9, 1)];
  const figures = { users, seconds, usersPerSecond, megabytesAt10: at10, megabytesAt100: at100, ...rows[0] };
  if (options.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  const isReached =
    usersPerSecond >= usersPerSecondMin && at100 - at10 <= growthMegabytesMax && rows[0]?.users === users;
  say(`${Math.round(usersPerSecond)} users/s (at least ${usersPerSecondMin}), ${Math.round(seconds)} s in all`);
  say(
    `memory: ${Math.round(at10)} MB around 10 %, ${Math.round(at100)} MB from 90 % on (at most ${growthMegabytesMax} more)`,
  );
  say(isReached ? 'reached' : 'MISSED');
  process.exitCode = isReached ? 0 : 1;
} finally {
  await client.end();
  await postgres.stop();
}
