import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { loadDirectUrl } from '../config/environment.ts';
import { findEvents } from '../core/audit/audit-events.sql.ts';
import { toAuditEvent } from '../features/audit/audit-event.ts';
import { isWithinTenYears, systemClock } from '../lib/clock.ts';
import { StartupError } from '../lib/errors.ts';
import { type EventId, minId } from '../lib/ids.ts';
import type { Database } from '../platform/postgres.ts';
import { withDatabase } from './database.ts';
import { type Command, type Terminal, UsageError } from './command.ts';
import { environmentOf } from './environment.ts';

const usage = `Usage: npm run cli -- audit <command>

  export    print the audit trail, oldest event first, one JSON object per line, as in GET /admin/audit

    --since TIME    export only events from this time on, such as 2026-11-01T00:00:00Z (default: all)
    --until TIME    export only events before this time (default: now)
    --out FILE      the file to write, readable only by you; - is the standard output (default: -)

Requires DATABASE_DIRECT_URL or DATABASE_URL. docs/audit.md describes the events.
`;

/** The number of events in memory at a time. */
const pageSize = 1000;

interface ExportOptions {
  since: EventId;
  until: EventId;
  /** `-` is the standard output. */
  out: string;
}

const idAt = (time: string): EventId => {
  const ms = z.iso.datetime({ offset: true }).safeParse(time).success ? Date.parse(time) : NaN;
  if (!(ms >= 0) || !isWithinTenYears(ms, systemClock.nowMs())) throw new UsageError();
  return minId(ms);
};

function parseOptions(args: string[]): ExportOptions {
  const options = { since: { type: 'string' }, until: { type: 'string' }, out: { type: 'string' } } as const;
  try {
    const { since, until, out = '-' } = parseArgs({ args, options }).values;
    return {
      since: since === undefined ? minId(0) : idAt(since),
      until: until === undefined ? minId(systemClock.nowMs() + 1) : idAt(until),
      out,
    };
  } catch {
    throw new UsageError();
  }
}

/** Exports the audit trail. */
export const audit: Command = {
  usage,
  async run([command, ...args], terminal) {
    if (command !== 'export') throw new UsageError();
    const options = parseOptions(args);
    const env = await environmentOf(terminal, loadDirectUrl);
    const count = await withDatabase(env, { timeoutSeconds: 60, namedStatements: true }, (db) =>
      exportTrail(db, options, terminal),
    );
    const summary = `${count} ${count === 1 ? 'event' : 'events'}.\n`;
    (options.out === '-' ? terminal.stderr : terminal.stdout).write(summary);
  },
};

/** Writes page by page, no faster than the output accepts them. Returns the number of events. */
async function exportTrail(db: Database, { since, until, out }: ExportOptions, { stdout }: Terminal): Promise<number> {
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
  const written = out === '-' ? pipeline(lines, stdout, { end: false }) : pipeline(lines, openFile(out));
  await written.catch((cause: NodeJS.ErrnoException) => {
    if (cause.syscall === undefined) throw cause; // not an error of the file
    throw new StartupError(`Cannot write ${out === '-' ? 'to the standard output' : out}: ${cause.code}.`, { cause });
  });
  return count;
}

const openFile = (path: string) => createWriteStream(path, { mode: 0o600 });
