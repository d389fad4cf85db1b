import type { Database } from '../../platform/postgres.ts';
import type { RefusedLine } from './user-import.sql.ts';

/** The progress of the import of a file. */
export interface ImportProgress {
  /** The offset of the next line. */
  nextByte: number;
  lines: number;
  imported: number;
  refused: number;
  isFinished: boolean;
}

interface ImportRecord extends Pick<ImportProgress, 'lines' | 'imported' | 'refused'> {
  nextByte: bigint;
  finishedAt: Date | null;
}

export const progressOf = ({ nextByte, lines, imported, refused, finishedAt }: ImportRecord): ImportProgress => ({
  nextByte: Number(nextByte),
  lines,
  imported,
  refused,
  isFinished: finishedAt !== null,
});

/** Starts the import of a file, or returns the progress of an earlier one. */
export async function startOrResume(db: Database, fileSha256: Uint8Array<ArrayBuffer>): Promise<ImportProgress> {
  await db.userImport.createMany({ data: [{ fileSha256 }], skipDuplicates: true });
  return progressOf(await db.userImport.findUniqueOrThrow({ where: { fileSha256 } }));
}

/** Forgets that a file was imported. The accounts stay. */
export async function forgetImport(db: Database, fileSha256: Uint8Array<ArrayBuffer>): Promise<void> {
  await db.userImport.deleteMany({ where: { fileSha256 } });
}

const linesPerPage = 1000;

/** Reads all refused lines of a file in their order, including those of earlier runs. */
export async function* refusedLines(db: Database, fileSha256: Uint8Array<ArrayBuffer>): AsyncGenerator<RefusedLine> {
  for (let after = 0; ;) {
    const page = await db.userImportRefusal.findMany({
      where: { fileSha256, line: { gt: after } },
      select: { line: true, reasons: true },
      orderBy: { line: 'asc' },
      take: linesPerPage,
    });
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < linesPerPage) return;
    after = last.line;
  }
}
