import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { loadDirectUrl } from '../config/environment.ts';
import { type AuditEventFilter, findEvents, planForParameters } from '../core/audit/audit-events.sql.ts';
import { toAuditEvent } from '../features/audit/audit-event.ts';
import { EventTime, filters, toFilter } from '../features/audit/audit-filter.ts';
import { systemClock } from '../lib/clock.ts';
import { StartupError } from '../lib/errors.ts';
import { type EventId, minId } from '../lib/ids.ts';
import type { Database } from '../platform/postgres.ts';
import { withDatabase } from './database.ts';
import { type Command, parseOptions, refuseMore, type Terminal, unknownCommand, UsageError } from './command.ts';
import { environmentOf } from './environment.ts';

const usage = `Usage: npm run cli -- audit <command>

  export    print the audit trail, oldest event first, one JSON object per line, as in GET /admin/audit

    --since TIME    export only events from this time on, such as 2026-11-01T00:00:00Z (default: all)
    --until TIME    export only events before this time (default: now)
    --user-id ID, --type TYPE, --session-id ID, --request-id ID, --email ADDRESS, --ip NETWORK
                    export only events that match, as in GET /admin/audit
    --out FILE      the file to write, readable only by you; - is the standard output (default: -)

Requires DATABASE_DIRECT_URL or DATABASE_URL. docs/audit.md describes the events.
`;

/** The number of events in memory at a time. */
const pageSize = 1000;

interface ExportOptions {
  filter: AuditEventFilter;
  since: EventId;
  until: EventId;
  /** `-` is the standard output. */
  out: string;
}

const EventTimeId = EventTime.transform((time) => minId<EventId>(time.getTime()));
const Options = z.strictObject({
  ...filters,
  since: EventTimeId.default(minId(0)),
  until: EventTimeId.optional(),
  out: z.string().default('-'),
});

function parseExport(args: string[]): ExportOptions {
  const names = Object.keys(Options.shape).map((name) => [name.replace('_', '-'), { type: 'string' }] as const);
  const { values, words } = parseOptions(args, Object.fromEntries(names));
  refuseMore(words);
  const members = Object.entries(values).map(([name, value]) => [name.replace('-', '_'), value]);
  const parsed = Options.safeParse(Object.fromEntries(members));
  if (!parsed.success) {
    const errors = parsed.error.issues.map(({ path, message }) => `--${path.join('.').replace('_', '-')} ${message}.`);
    throw new UsageError(errors.join('\n'));
  }
  const { since, until = minId(systemClock.nowMs() + 1), out, ...rest } = parsed.data;
  return { filter: toFilter(rest), since, until, out };
}

/** Exports the audit trail. */
export const audit: Command = {
  usage,
  async run([command, ...args], terminal) {
    if (command !== 'export') throw unknownCommand(command);
    const options = parseExport(args);
    const env = await environmentOf(terminal, loadDirectUrl);
    const count = await withDatabase(env, { timeoutSeconds: 60, namedStatements: true }, (db) =>
      exportTrail(db, options, terminal),
    );
    const summary = `${count} ${count === 1 ? 'event' : 'events'}.\n`;
    (options.out === '-' ? terminal.stderr : terminal.stdout).write(summary);
  },
};

/** Writes page by page, no faster than the output accepts them. Returns the number of events. */
async function exportTrail(db: Database, options: ExportOptions, { stdout }: Terminal): Promise<number> {
  const { filter, since, until, out } = options;
  let count = 0;
  const lines = async function* () {
    let after: EventId | undefined;
    for (;;) {
      const start = after ? { after } : { from: since };
      const query = { ...filter, ...start, before: until, order: 'oldest first', limit: pageSize } as const;
      const page = await db.transaction(async (tx) => {
        await planForParameters(tx);
        return findEvents(tx, query);
      });
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
