import { loadDirectUrl } from '../config.ts';
import { listUnsent, retryFailed } from '../core/mails/operator.store.ts';
import { StartRefused } from '../kernel/start-refused.ts';
import { makeLogger } from '../platform/log.ts';
import { pendingMigrations } from '../platform/migrations.ts';
import { type Database, isDatabaseUnavailable, openDatabase, queryText, sentenceOf } from '../platform/postgres.ts';
import { openPool } from '../platform/postgres-pool.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

export const mailsUsage = `Usage: npm run cli -- mails <command>

  list     print the mails that are not sent yet, without addresses and content; given up ones first
  retry    try those again that were given up

They need DATABASE_DIRECT_URL or DATABASE_URL.
`;

/** Prints what it did. @throws UsageError, or StartRefused with a sentence */
export async function mails([command = '', ...rest]: string[]): Promise<void> {
  const works: Record<string, (db: Database) => Promise<string>> = { list, retry };
  const work = Object.hasOwn(works, command) ? works[command] : undefined;
  if (!work || rest.length > 0) throw new UsageError();
  const settings = { url: loadDirectUrl(), poolMax: 1, timeoutSeconds: 10, pooled: true, statementNames: false };
  const pool = openPool(settings, () => {});
  const db = openDatabase(settings, pool, makeLogger({ level: 'silent', pretty: false }));
  try {
    const pending = await pendingMigrations(queryText(db));
    if (pending.length > 0)
      throw new StartRefused(`Migrations are not applied: ${pending.join(', ')}. Run npm run db:migrate.`);
    process.stdout.write(`${await work(db)}\n`);
  } catch (cause) {
    if (!isDatabaseUnavailable(cause)) throw cause;
    throw new StartRefused(`The database cannot be used: ${sentenceOf(cause)}`, { cause });
  } finally {
    await db.$disconnect();
  }
}

async function list(db: Database): Promise<string> {
  const rows = (await listUnsent(db)).map(({ id, kind, status, ageSeconds, attempts, lastFault }) => [
    id,
    kind,
    status,
    ageSeconds < 7200 ? `${Math.round(ageSeconds / 60)}m` : `${Math.round(ageSeconds / 3600)}h`,
    String(attempts),
    lastFault ?? '-',
  ]);
  if (rows.length === 0) return 'No mail waits, and none was given up.';
  return table([['ID', 'KIND', 'STATUS', 'AGE', 'ATTEMPTS', 'LAST FAULT'], ...rows]);
}

async function retry(db: Database): Promise<string> {
  const count = await retryFailed(db);
  if (count === 0) return 'No mail was given up: nothing to do.';
  return `${count} ${count === 1 ? 'mail is' : 'mails are'} tried again, within seconds where a process runs. A letter whose link is gone is dropped.`;
}
