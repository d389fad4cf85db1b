// npm run bench:admin-pages [-- --json]: what a page of GET /admin/users reads, with ten thousand accounts and with a million.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { applyMigrations } from '../src/platform/migrations.ts';
import { type Cost, costOfPages, growthMax } from '../tests/admin/people.ts';

const sizes = [10_000, 1_000_000] as const;

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const say = (text: string) => void (options.json ? process.stderr : process.stdout).write(`${text}\n`);

const folder = mkdtempSync(join(tmpdir(), 'keyturn-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

async function measure(size: number): Promise<Cost[]> {
  const postgres = await startEmbeddedPostgres({ directory: join(folder, `postgres-${size}`), durable: false });
  const client = new pg.Client(postgres.url);
  try {
    await applyMigrations(postgres.url);
    await client.connect();
    return await costOfPages(client, size);
  } finally {
    await client.end();
    await postgres.stop();
  }
}

say(`${availableParallelism()} cores (${cpus()[0]?.model}), node ${process.version}; pages of 20`);
const [few, many] = [await measure(sizes[0]), await measure(sizes[1])];
const pairs = few.map((cost, index) => ({ ...cost, grown: many[index] }));
for (const { search, buffers, ms, grown } of pairs)
  say(
    `${search.padEnd(20)} ${buffers} buffers with ${sizes[0]} accounts, ${grown?.buffers} with ${sizes[1]} ` +
      `(${ms.toFixed(2)} ms, ${grown?.ms.toFixed(2)} ms)`,
  );
if (options.json) process.stdout.write(`${JSON.stringify({ sizes, few, many })}\n`);
const missed = pairs.filter(({ buffers, grown }) => !grown || grown.buffers > buffers * growthMax);
say(missed.length === 0 ? 'reached' : `MISSED: ${missed.map(({ search }) => search).join(', ')}`);
process.exitCode = missed.length === 0 ? 0 : 1;
