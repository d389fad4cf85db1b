import type { ImportProgress } from '../../core/user-import/import-progress.ts';

/** The part of a stream that the progress bar uses. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

export interface ProgressBar {
  show: (progress: ImportProgress) => void;
  /** Clears the line for the next output. */
  clear: () => void;
}

const barCells = 24;
const toLineStart = '\r\u001b[K';
const grouped = (count: number) => count.toLocaleString('en-US');

const timeLeft = (seconds: number) =>
  seconds < 90 ? `${Math.ceil(seconds)} s left` : `${Math.ceil(seconds / 60)} min left`;

/** Shows the progress of an import on one line of a terminal, and nothing otherwise. `nowMs` reads a monotonic clock. */
export function makeProgressBar(screen: Screen, fileBytes: number, nowMs: () => number): ProgressBar {
  if (!screen.isTTY) return { show: () => {}, clear: () => {} };
  let first: { atMs: number; progress: ImportProgress } | undefined;

  /** The speed of this run. Earlier runs may have imported a part of the file. */
  const paceOf = (progress: ImportProgress): string[] => {
    first ??= { atMs: nowMs(), progress };
    const seconds = (nowMs() - first.atMs) / 1000;
    const bytes = progress.nextByte - first.progress.nextByte;
    if (bytes <= 0 || seconds <= 0) return [];
    const perSecond = grouped(Math.round((progress.lines - first.progress.lines) / seconds));
    return [`${perSecond} lines/s`, timeLeft(((fileBytes - progress.nextByte) / bytes) * seconds)];
  };

  return {
    show(progress) {
      const done = fileBytes > 0 ? progress.nextByte / fileBytes : 1;
      const cells = Math.floor(done * barCells);
      const bar = `${'█'.repeat(cells)}${'░'.repeat(barCells - cells)} ${Math.floor(done * 100)} %`;
      const counts = `${grouped(progress.imported)} imported, ${grouped(progress.refused)} refused`;
      const line = [bar, counts, ...paceOf(progress)].join('  ');
      screen.write(`${toLineStart}${line.slice(0, Math.max(0, (screen.columns ?? 80) - 1))}`);
    },
    clear: () => void screen.write(toLineStart),
  };
}
