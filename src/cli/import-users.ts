import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { type ImportOutcome, importUsers, refusedLines } from '../core/user-import/import-users.ts';
import { type ImportUsersStore, makeImportUsersStore, type Progress } from '../core/user-import/import-users.store.ts';
import { monotonicMs, systemClock } from '../lib/clock.ts';
import { StartupError } from '../lib/errors.ts';
import { type LineFile, openLineFile } from '../platform/line-file.ts';
import { withDatabase } from './database.ts';
import { makeProgressBar } from './progress-bar.ts';
import { UsageError } from './usage-error.ts';

/** Some lines were refused, and all others taken. */
const exitRefused = 3;
const stopSignals = ['SIGINT', 'SIGTERM'] as const;

interface Words {
  path: string;
  /** `-` is the standard output. */
  report: string;
  again: boolean;
}

function wordsOf(args: string[]): Words {
  try {
    const options = { report: { type: 'string' }, again: { type: 'boolean', default: false } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [path, ...rest] = positionals;
    if (!path || rest.length > 0) throw new UsageError();
    const report = values.report ?? `${path}.refused.ndjson`;
    if (resolve(report) === resolve(path)) throw new UsageError(); // it would be overwritten
    return { path, report, again: values.again };
  } catch {
    throw new UsageError();
  }
}

/** Imports the file that the words name, and tells what became of it. @throws UsageError, or StartRefused with a sentence */
export async function importFile(args: string[]): Promise<void> {
  const words = wordsOf(args);
  const file = await openLineFile(words.path);
  try {
    // Statements are named, as each runs a thousand times; each may take as long as a busy database needs.
    await withDatabase({ timeoutSeconds: 60, repeats: true }, async (db) => {
      const store = makeImportUsersStore(db, file.sha256, systemClock);
      if (words.again) await store.forget();
      const outcome = await runImport(store, file);
      requireEnd(outcome, words.path);
      await tellEnd(store, outcome.progress, words);
    });
  } finally {
    await file.close();
  }
}

async function runImport(store: ImportUsersStore, file: LineFile): Promise<ImportOutcome> {
  const bar = makeProgressBar(process.stderr, file.size, monotonicMs);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const signal of stopSignals) process.once(signal, onSignal);
  const deps = { store, file, nowMs: systemClock.nowMs(), tell: bar.show, stop: stop.signal };
  return importUsers(deps).finally(() => {
    for (const signal of stopSignals) process.off(signal, onSignal);
    bar.clear();
  });
}

function requireEnd({ kind, progress: { lines } }: ImportOutcome, path: string): void {
  const upTo = `Every line up to line ${lines} is dealt with`;
  if (kind === 'stopped') throw new StartupError(`Stopped. ${upTo}; run the same again to go on.`);
  if (kind === 'changed') throw new StartupError(`${path} was changed while it was read. ${upTo}; the rest is not.`);
  if (kind === 'overtaken')
    throw new StartupError('Another process imports the same file, and goes on. This one has left it to that.');
}

async function tellEnd(store: ImportUsersStore, { lines, taken, refused }: Progress, words: Words): Promise<void> {
  const toOutput = words.report === '-';
  const told = `${taken} taken, ${refused} refused, of ${lines} lines.`;
  const where = refused > 0 && !toOutput ? ` Why is in ${words.report}.` : '';
  if (refused > 0) {
    await writeReport(store, words.report);
    process.exitCode = exitRefused;
  }
  (toOutput ? process.stderr : process.stdout).write(`${told}${where}\n`);
}

/** One JSON object a refused line, with its number and every reason. */
async function writeReport(store: ImportUsersStore, path: string): Promise<void> {
  const lines = async function* () {
    for await (const refused of refusedLines(store)) yield `${JSON.stringify(refused)}\n`;
  };
  if (path === '-') return pipeline(lines, process.stdout, { end: false });
  await pipeline(lines, createWriteStream(path, { mode: 0o600 })).catch((cause: NodeJS.ErrnoException) => {
    if (cause.syscall === undefined) throw cause; // the database's, and no fault of the report
    const told = `The report ${path} cannot be written: ${cause.code}.`;
    throw new StartupError(`${told} The import is done; run the same again with --report.`, { cause });
  });
}
