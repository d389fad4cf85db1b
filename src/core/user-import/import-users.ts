import type { Clock } from '../../lib/clock.ts';
import { newId, type UserId } from '../../lib/ids.ts';
import type { LineFile } from '../../platform/line-file.ts';
import type { Database } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import { type ImportProgress, progressOf, startOrResume } from './import-progress.ts';
import { type ImportedUser, makeParseLine, type ParseLine } from './imported-user.ts';
import { claimRange, insertRefusedLines, insertUsers, type LineRange, type RefusedLine } from './user-import.sql.ts';

const linesPerBatch = 1000;

export interface ImportUsersDeps {
  db: Database;
  audit: Audit;
  clock: Clock;
}

export interface ImportOptions {
  file: LineFile;
  /** Called before the first batch and after each batch. */
  onProgress: (progress: ImportProgress) => void;
  /** Stops the import after the current batch. */
  signal: AbortSignal;
}

/** Why an import ended. `overtaken`: another process is importing the same file. `changed`: the file was changed while it was read. */
export interface ImportOutcome {
  kind: 'finished' | 'stopped' | 'overtaken' | 'changed';
  progress: ImportProgress;
}

interface Batch extends LineRange {
  users: { line: number; user: ImportedUser }[];
  refused: RefusedLine[];
}

/**
 * Imports the accounts of a file in batches, starting where the last import of the same content ended. Each batch is one transaction, so
 * an import that is interrupted at any time leaves whole batches.
 */
export const makeImportUsers =
  (deps: ImportUsersDeps) =>
  async ({ file, onProgress, signal }: ImportOptions): Promise<ImportOutcome> => {
    const { db, clock } = deps;
    let progress = await startOrResume(db, file.sha256);
    onProgress(progress);
    if (progress.isFinished) return { kind: 'finished', progress };
    const roles = await db.role.findMany({ select: { name: true, scopes: true } });
    const parseLine = makeParseLine(new Map(roles.map(({ name, scopes }) => [name, scopes])), clock.nowMs());
    for await (const batch of batchesOf(file, progress, parseLine)) {
      if (signal.aborted) return { kind: 'stopped', progress };
      if (!(await file.isUnchanged())) return { kind: 'changed', progress };
      const updated = await importBatch(deps, file.sha256, batch);
      if (!updated) return { kind: 'overtaken', progress };
      progress = updated;
      onProgress(progress);
    }
    return { kind: 'finished', progress };
  };

/** The last batch can be empty. It marks the import as finished. */
async function* batchesOf(file: LineFile, progress: ImportProgress, parseLine: ParseLine): AsyncGenerator<Batch> {
  const begin = (from: number): Batch => ({ from, to: from, lines: 0, users: [], refused: [], isLast: false });
  let batch = begin(progress.nextByte);
  for await (const { number, bytes, end } of file.linesFrom(progress)) {
    const parsed = parseLine(bytes);
    if (parsed && 'user' in parsed) batch.users.push({ line: number, user: parsed.user });
    else if (parsed) batch.refused.push({ line: number, reasons: parsed.reasons });
    batch.lines += 1;
    batch.to = end;
    if (batch.lines < linesPerBatch) continue;
    yield batch;
    batch = begin(end);
  }
  yield { ...batch, isLast: true };
}

/** Imports all lines of a batch, or none. Returns undefined if another process has imported it. */
const importBatch = ({ db, audit, clock }: ImportUsersDeps, fileSha256: Uint8Array<ArrayBuffer>, batch: Batch) =>
  db.transaction(async (tx): Promise<ImportProgress | undefined> => {
    if ((await claimRange(tx, fileSha256, batch)) === 0) return undefined;
    const rows = batch.users.map(({ line, user }) => ({ ...user, line, id: newId<UserId>(clock.nowMs()) }));
    const inserted = new Set((await insertUsers(tx, rows)).map(({ id }) => id));
    await audit.recordImports(tx, [...inserted]);
    const unavailable = rows.filter(({ id }) => !inserted.has(id));
    const refused = [...batch.refused, ...unavailable.map(({ line }) => ({ line, reasons: [emailUnavailable] }))];
    await insertRefusedLines(tx, fileSha256, refused);
    const updated = await tx.userImport.update({
      where: { fileSha256 },
      data: { imported: { increment: inserted.size }, refused: { increment: refused.length } },
    });
    return progressOf(updated);
  });

const emailUnavailable = 'email: belongs to an existing account or to an earlier line';
