import { listUnsent, retryFailed } from '../core/email/outbox-operations.store.ts';
import type { Database } from '../platform/postgres.ts';
import { withDatabase } from './database.ts';
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
  process.stdout.write(`${await withDatabase({ timeoutSeconds: 10, namedStatements: false }, work)}\n`);
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
