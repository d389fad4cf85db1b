// npm run bench:admin-pages [-- --json]: measures what pages of GET /admin/users read with ten thousand and with a million accounts.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startEmbeddedPostgres } from '../src/dev/embedded-postgres.ts';
import { applyMigrations } from '../src/platform/migrations.ts';
import { costOfPages, costOfWorstPage, maxGrowth, type PageCost } from '../tests/admin/user-pages.ts';

const sizes = [10_000, 1_000_000] as const;

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const print = (text: string) => void (options.json ? process.stderr : process.stdout).write(`${text}\n`);

const folder = mkdtempSync(join(tmpdir(), 'keyturn-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

async function measure(size: number): Promise<{ pages: PageCost[]; worst: PageCost[] }> {
  const postgres = await startEmbeddedPostgres({ directory: join(folder, `postgres-${size}`), durable: false });
  const client = new pg.Client(postgres.url);
  try {
    await applyMigrations(postgres.url);
    await client.connect();
    const pages = await costOfPages(client, size);
    return { pages, worst: await costOfWorstPage(client) };
  } finally {
    await client.end();
    await postgres.stop();
  }
}

print(`${availableParallelism()} cores (${cpus()[0]?.model}), node ${process.version}; pages of 20`);
const [few, many] = [await measure(sizes[0]), await measure(sizes[1])];
const describe = ({ buffers, ms }: PageCost) => `${buffers} buffers, ${ms.toFixed(2)} ms`;
const pairs = few.pages.map((cost, index) => ({ page: cost.page, cost, grown: many.pages[index] }));
for (const { page, cost, grown } of pairs)
  print(
    `${page.padEnd(31)} ${sizes[0]} accounts: ${describe(cost)}; ${sizes[1]}: ${grown ? describe(grown) : 'missing'}`,
  );
for (const { page, ...cost } of many.worst)
  print(`${page.padEnd(31)} ${sizes[1]} accounts: ${describe({ page, ...cost })}`);
if (options.json) process.stdout.write(`${JSON.stringify({ sizes, few, many })}\n`);
const missed = pairs.filter(({ cost, grown }) => !grown || grown.buffers > cost.buffers * maxGrowth);
print(missed.length === 0 ? 'reached' : `MISSED: ${missed.map(({ page }) => page).join(', ')}`);
process.exitCode = missed.length === 0 ? 0 : 1;
