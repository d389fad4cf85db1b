import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { loadDirectUrl } from '../../config/environment.ts';
import { makeAudit } from '../../core/audit/audit.ts';
import { forgetImport, refusedLines } from '../../core/user-import/import-progress.ts';
import { type ImportOutcome, makeImportUsers } from '../../core/user-import/import-users.ts';
import { monotonicMs, systemClock } from '../../lib/clock.ts';
import { StartupError } from '../../lib/errors.ts';
import { type LineFile, openLineFile } from '../../platform/line-file.ts';
import type { Database } from '../../platform/postgres.ts';
import { withDatabase } from '../database.ts';
import { makeProgressBar } from './progress-bar.ts';
import { parseOptions, refuseMore, type Terminal, UsageError } from '../command.ts';
import { environmentOf } from '../environment.ts';

/** Some lines were refused and all others were imported. */
const exitCodeRefused = 3;
const stopSignals = ['SIGINT', 'SIGTERM'] as const;

interface ImportArgs {
  path: string;
  /** The path of the report; `-` is the standard output. */
  report: string;
  again: boolean;
}

function parseImportArgs(args: string[]): ImportArgs {
  const { values, words } = parseOptions(args, {
    report: { type: 'string' },
    again: { type: 'boolean', default: false },
  });
  const [path, ...rest] = words;
  if (!path) throw new UsageError('FILE.ndjson is missing.');
  refuseMore(rest);
  const report = values.report ?? `${path}.refused.ndjson`;
  if (resolve(report) === resolve(path)) throw new UsageError('--report would overwrite FILE.ndjson.');
  return { path, report, again: values.again };
}

/** Imports the accounts of a file and prints a summary. Returns the exit code. @throws UsageError, StartupError */
export async function importFile(args: string[], terminal: Terminal): Promise<number> {
  const { path, report, again } = parseImportArgs(args);
  const env = await environmentOf(terminal, loadDirectUrl);
  const file = await openLineFile(path);
  try {
    return await withDatabase(env, { timeoutSeconds: 60, namedStatements: true }, async (db) => {
      if (again) await forgetImport(db, file.sha256);
      const outcome = await runImport(db, file, terminal);
      requireFinished(outcome, path);
      const { lines, imported, refused } = outcome.progress;
      if (refused > 0) await writeReport(db, file, report, terminal);
      const where = refused > 0 && report !== '-' ? ` ${report} lists the reasons.` : '';
      const output = report === '-' ? terminal.stderr : terminal.stdout;
      output.write(`${imported} imported, ${refused} refused, of ${lines} lines.${where}\n`);
      return refused > 0 ? exitCodeRefused : 0;
    });
  } finally {
    await file.close();
  }
}

async function runImport(db: Database, file: LineFile, { stderr }: Terminal): Promise<ImportOutcome> {
  const importUsers = makeImportUsers({ db, audit: makeAudit({ clock: systemClock }), clock: systemClock });
  const bar = makeProgressBar(stderr, file.size, monotonicMs);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const signal of stopSignals) process.once(signal, onSignal);
  return importUsers({ file, onProgress: bar.show, signal: stop.signal }).finally(() => {
    for (const signal of stopSignals) process.off(signal, onSignal);
    bar.clear();
  });
}

function requireFinished({ kind, progress: { lines } }: ImportOutcome, path: string): void {
  if (kind === 'stopped')
    throw new StartupError(`The import was stopped after line ${lines}. Run the same command to resume it.`);
  if (kind === 'changed')
    throw new StartupError(
      `${path} was changed while it was read. Lines up to line ${lines} are imported. Import the rest as a new file.`,
    );
  if (kind === 'overtaken')
    throw new StartupError(
      'Another process is importing the same file. This process has stopped, and the other continues.',
    );
}

/** Writes one JSON object per refused line, with its number and all reasons. */
async function writeReport(db: Database, file: LineFile, path: string, { stdout }: Terminal): Promise<void> {
  const lines = async function* () {
    for await (const refused of refusedLines(db, file.sha256)) yield `${JSON.stringify(refused)}\n`;
  };
  if (path === '-') return pipeline(lines, stdout, { end: false });
  await pipeline(lines, createWriteStream(path, { mode: 0o600 })).catch((cause: NodeJS.ErrnoException) => {
    if (cause.syscall === undefined) throw cause; // not an error of the report
    const message = `Cannot write the report ${path}: ${cause.code}. The import is finished.`;
    throw new StartupError(`${message} Run the same command with another --report.`, { cause });
  });
}
