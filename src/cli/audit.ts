import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { findEvents } from '../core/audit/audit-events.sql.ts';
import { toAuditEvent } from '../features/audit/audit-event.ts';
import { systemClock } from '../lib/clock.ts';
import { type EventId, minId } from '../lib/ids.ts';
import { StartupError } from '../lib/errors.ts';
import type { Database } from '../platform/postgres.ts';
import { withDatabase } from './database.ts';
import { UsageError } from './usage-error.ts';

export const auditUsage = `Usage: npm run cli -- audit <command>

  export    print the audit trail, the oldest event first: one JSON object a line, as GET /admin/audit gives it

    --since TIME    from this time on, such as 2026-11-01T00:00:00Z; the beginning, else
    --until TIME    before this time; when the command was started, else
    --out FILE      a file to write, for you alone to read; - is the standard output, where it goes without

It needs DATABASE_DIRECT_URL or DATABASE_URL. docs/audit.md tells what the events mean.
`;

/** So many events are held in memory. */
const pageSize = 1000;

interface Words {
  since: EventId;
  until: EventId;
  /** `-` is the standard output. */
  out: string;
}

const idAt = (time: string): EventId => {
  const { success, data } = z.iso.datetime({ offset: true }).safeParse(time);
  if (!success || Date.parse(data) < 0) throw new UsageError();
  return minId(Date.parse(data));
};

function wordsOf(args: string[]): Words {
  const options = { since: { type: 'string' }, until: { type: 'string' }, out: { type: 'string' } } as const;
  try {
    const { since, until, out = '-' } = parseArgs({ args, options }).values;
    const untilId = until === undefined ? minId<EventId>(systemClock.nowMs() + 1) : idAt(until);
    return { since: since === undefined ? minId(0) : idAt(since), until: untilId, out };
  } catch {
    throw new UsageError();
  }
}

/** Runs a command's words. @throws UsageError, or StartRefused with a sentence */
export async function audit([command, ...args]: string[]): Promise<void> {
  if (command !== 'export') throw new UsageError();
  const words = wordsOf(args);
  const count = await withDatabase({ timeoutSeconds: 60, repeats: true }, (db) => exportTrail(db, words));
  const told = `${count} ${count === 1 ? 'event' : 'events'}.\n`;
  (words.out === '-' ? process.stderr : process.stdout).write(told);
}

/** Writes page by page, as fast as they are taken, and gives the number of events. */
async function exportTrail(db: Database, { since, until, out }: Words): Promise<number> {
  let count = 0;
  const lines = async function* () {
    let after: EventId | undefined;
    for (;;) {
      const start = after ? { after } : { from: since };
      const page = await findEvents(db, { ...start, before: until, order: 'oldest first', limit: pageSize });
      count += page.length;
      yield page.map((event) => `${JSON.stringify(toAuditEvent(event))}\n`).join('');
      if (page.length < pageSize) return;
      after = page.at(-1)?.id;
    }
  };
  const written = out === '-' ? pipeline(lines, process.stdout, { end: false }) : pipeline(lines, openFile(out));
  await written.catch((cause: NodeJS.ErrnoException) => {
    if (cause.syscall === undefined) throw cause; // the database's, and no fault of the file
    throw new StartupError(`${out === '-' ? 'The output' : out} cannot be written: ${cause.code}.`, { cause });
  });
  return count;
}

const openFile = (path: string) => createWriteStream(path, { mode: 0o600 });
