import { loadDirectUrl } from '../config/environment.ts';
import { retryFailedEmails } from '../core/email/outbox.sql.ts';
import { systemClock } from '../lib/clock.ts';
import type { Database } from '../platform/postgres.ts';
import { withDatabase } from './database.ts';
import { type Command, refuseMore, table, unknownCommand } from './command.ts';
import { environmentOf } from './environment.ts';

const usage = `Usage: npm run cli -- emails <command>

  list     print unsent emails, failed ones first, without addresses and content
  retry    retry failed emails

Requires DATABASE_DIRECT_URL or DATABASE_URL.
`;

const maxListed = 1000;

/** Lists or retries unsent emails. */
export const emails: Command = {
  usage,
  async run([command, ...rest], terminal) {
    const commands: Record<string, (db: Database) => Promise<string>> = { list, retry };
    const run = command !== undefined && Object.hasOwn(commands, command) ? commands[command] : undefined;
    if (!run) throw unknownCommand(command);
    refuseMore(rest);
    const env = await environmentOf(terminal, loadDirectUrl);
    terminal.stdout.write(`${await withDatabase(env, { timeoutSeconds: 10, namedStatements: false }, run)}\n`);
  },
};

function formatAge(createdAt: Date): string {
  const minutes = Math.max(0, systemClock.nowMs() - createdAt.getTime()) / 60_000;
  return minutes < 120 ? `${Math.round(minutes)}m` : `${Math.round(minutes / 60)}h`;
}

async function list(db: Database): Promise<string> {
  const unsent = await db.outboxEmail.findMany({
    where: { sentAt: null },
    orderBy: [{ failedAt: { sort: 'asc', nulls: 'last' } }, { createdAt: 'asc' }],
    take: maxListed,
  });
  if (unsent.length === 0) return 'No emails are waiting, and none have failed.';
  const rows = unsent.map(({ id, kind, failedAt, createdAt, attempts, lastError }) => [
    id,
    kind,
    failedAt ? 'failed' : 'waiting',
    formatAge(createdAt),
    String(attempts),
    lastError ?? '-',
  ]);
  return table([['ID', 'KIND', 'STATUS', 'AGE', 'ATTEMPTS', 'LAST ERROR'], ...rows]);
}

async function retry(db: Database): Promise<string> {
  const count = await retryFailedEmails(db);
  if (count === 0) return 'No emails have failed.';
  return `Retrying ${count} ${count === 1 ? 'email' : 'emails'}. A running service sends them within seconds; emails whose link is no longer valid are deleted.`;
}
