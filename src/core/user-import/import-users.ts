import type { LineFile } from '../../platform/line-file.ts';
import type { Batch, ImportUsersStore, Progress, RefusedLine } from './import-users.store.ts';
import { makeReadLine, type ReadLine } from './imported-user.ts';

const linesPerBatch = 1000;
const refusalsPerPage = 1000;

export interface ImportUsersDeps {
  store: ImportUsersStore;
  file: LineFile;
  nowMs: number;
  /** Told after each batch, and before the first. */
  tell: (progress: Progress) => void;
  /** Ends the import after the batch under way. */
  stop: AbortSignal;
}

/** How an import ended: at the end of the file, or before, since it was told to, or since going on would be wrong. */
export type ImportOutcome = { kind: 'finished' | 'stopped' | 'overtaken' | 'changed'; progress: Progress };

/** Takes every account of a file, from where the last import of this very file came to. Nothing is half-done. */
export async function importUsers({ store, file, nowMs, tell, stop }: ImportUsersDeps): Promise<ImportOutcome> {
  let progress = await store.begin();
  tell(progress);
  if (progress.finished) return { kind: 'finished', progress };
  const readLine = makeReadLine(await store.roleNames(), nowMs);
  for await (const batch of batchesOf(file, progress, readLine)) {
    if (stop.aborted) return { kind: 'stopped', progress };
    if (!(await file.isUnchanged())) return { kind: 'changed', progress };
    const taken = await store.take(batch);
    if (!taken) return { kind: 'overtaken', progress };
    progress = taken;
    tell(progress);
  }
  return { kind: 'finished', progress };
}

/** The last one may be empty: it ends the import. */
async function* batchesOf(file: LineFile, place: Progress, readLine: ReadLine): AsyncGenerator<Batch> {
  const begin = (from: number): Batch => ({ from, to: from, lines: 0, users: [], refused: [], isLast: false });
  let batch = begin(place.nextByte);
  for await (const { number, bytes, end } of file.linesFrom(place)) {
    const read = readLine(bytes);
    if (read && 'user' in read) batch.users.push({ line: number, user: read.user });
    else if (read) batch.refused.push({ line: number, reasons: read.reasons });
    batch.lines += 1;
    batch.to = end;
    if (batch.lines < linesPerBatch) continue;
    yield batch;
    batch = begin(end);
  }
  yield { ...batch, isLast: true };
}

/** Every refused line, in the order of the file; of earlier runs, too. */
export async function* refusedLines(store: ImportUsersStore): AsyncGenerator<RefusedLine> {
  for (let line = 0; ;) {
    const page = await store.refusedAfter(line, refusalsPerPage);
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < refusalsPerPage) return;
    line = last.line;
  }
}
