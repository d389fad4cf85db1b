import type { Writable } from 'node:stream';

/** What a command reads and writes: the process, or a test. */
export interface Terminal {
  env: Record<string, string | undefined>;
  /** Returns the folder in which the command runs. */
  cwd: () => string;
  stdout: Writable;
  stderr: Writable & { isTTY?: boolean; columns?: number };
}

/** One word of `npm run cli --`, such as `keys`. */
export interface Command {
  /** The general usage if it has none of its own. */
  usage?: string;
  /** Returns the exit code; nothing is 0. @throws UsageError, StartupError */
  run: (args: string[], terminal: Terminal) => Promise<number | void>;
}

/** The arguments are invalid. The command line prints the usage and exits with 2. */
export class UsageError extends Error {}

/** Formats rows as columns, each as wide as its widest cell. */
export function table(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}
