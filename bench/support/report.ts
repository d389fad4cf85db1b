// Formats the figures and compares them with the targets.
import type { Figures } from './round.ts';

export interface Cell extends Figures {
  variant: 'service' | 'floor';
  connections: number;
  statements: number;
}

export interface Verdict {
  target: string;
  figure: string;
  reached: boolean;
}

/** The columns of the table. */
const columns: [head: string, write: (cell: Cell) => string][] = [
  ['variant', ({ variant }) => variant],
  ['connections', ({ connections }) => String(connections)],
  ['refreshes/s', ({ refreshesPerSecond }) => refreshesPerSecond.toFixed(0)],
  ['p50 ms', ({ p50Ms }) => p50Ms.toFixed(2)],
  ['p99 ms', ({ p99Ms }) => p99Ms.toFixed(2)],
  ['CPU µs node', ({ serverMicros }) => serverMicros.toFixed(0)],
  ['+ Postgres', ({ postgresMicros }) => postgresMicros.toFixed(0)],
  ['= both', (cell) => bothMicros(cell).toFixed(0)],
  ['statements', ({ statements }) => statements.toFixed(3)],
  ['WAL B', ({ walBytes }) => walBytes.toFixed(0)],
  ['images B', ({ imageBytes }) => imageBytes.toFixed(0)],
  ['HOT %', ({ hotShare }) => (hotShare * 100).toFixed(2)],
  ['RSS MB', (cell) => cell.rssMegabytes.toFixed(0)],
];

const bothMicros = ({ serverMicros, postgresMicros }: Figures): number => serverMicros + postgresMicros;

export function table(cells: readonly Cell[]): string {
  const rows = [columns.map(([head]) => head), ...cells.map((cell) => columns.map(([, write]) => write(cell)))];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => row.map((text, column) => text.padStart(widths[column] ?? 0)).join('  ')).join('\n');
}

interface Target {
  target: string;
  figure: (service: Cell, floor: Cell) => number;
  decimals: number;
  reached: (figure: number, connections: number) => boolean;
}

/** The maximum CPU of a refresh, relative to the floor. Concurrent rotations share statements; a single one has nothing to share. */
const maxTimesTheFloor: Record<number, number> = { 1: 1.7, 16: 0.9, 64: 0.6 };

const timesTheFloor = (service: Cell, floor: Cell): number => bothMicros(service) / bothMicros(floor);

const targets: readonly Target[] = [
  { target: 'at most 0.1 statements at 64', figure: (cell) => cell.statements, decimals: 3, reached: (n) => n <= 0.1 },
  { target: 'at least 99% HOT', figure: (cell) => cell.hotShare * 100, decimals: 2, reached: (n) => n >= 99 },
  { target: 'at most 350 WAL bytes', figure: (cell) => cell.walBytes, decimals: 0, reached: (n) => n <= 350 },
  {
    target: "CPU, times the floor's: at most 1.7 at 1, 0.9 at 16, 0.6 at 64",
    figure: timesTheFloor,
    decimals: 2,
    reached: (n, connections) => n <= (maxTimesTheFloor[connections] ?? 0),
  },
  { target: 'RSS under 220 MB', figure: (cell) => cell.rssMegabytes, decimals: 0, reached: (n) => n < 220 },
];

/** Compares the figures with every target at every number of connections. */
export function verdicts(cells: readonly Cell[]): Verdict[] {
  return cells
    .filter(({ variant }) => variant === 'service')
    .flatMap((service) => {
      const { connections } = service;
      const floor = cells.find((cell) => cell.variant === 'floor' && cell.connections === connections);
      if (!floor) throw new Error(`no floor at ${connections} connections`);
      return targets.map(({ target, figure, decimals, reached }) => {
        const value = figure(service, floor);
        return {
          target: `${target}, ${connections} connections`,
          figure: value.toFixed(decimals),
          reached: reached(value, connections),
        };
      });
    });
}

export const verdictLine = ({ target, figure, reached }: Verdict): string =>
  `${reached ? 'PASS' : 'FAIL'}  ${target}: ${figure}`;
