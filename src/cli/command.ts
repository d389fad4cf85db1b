import type { Writable } from 'node:stream';
import { parseArgs, type ParseArgsConfig } from 'node:util';

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

/** The arguments are invalid. The command line prints the usage and the message, and exits with 2. */
export class UsageError extends Error {}

export const unknownCommand = (command: string | undefined): UsageError =>
  new UsageError(command === undefined ? 'The command is missing.' : `Unknown command '${command}'.`);

/** @throws UsageError that names the first of the arguments after the expected ones */
export function refuseMore([word]: readonly string[]): void {
  if (word !== undefined) throw new UsageError(`Unexpected argument '${word}'.`);
}

/** Parses options, each of which can be given once, and the words between them. @throws UsageError that names the invalid argument */
export function parseOptions<const Options extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  options: Options,
) {
  const parsed = (() => {
    try {
      return parseArgs({ args, options, allowPositionals: true, tokens: true });
    } catch (error) {
      // The other sentences are advice that does not apply here.
      throw new UsageError(`${(error instanceof Error ? error.message : String(error)).split(/\.?\s*\n|\. /)[0]}.`);
    }
  })();
  const names = parsed.tokens.flatMap((token) => (token.kind === 'option' ? token.name : []));
  const repeated = names.find((name, index) => names.indexOf(name) < index);
  if (repeated !== undefined) throw new UsageError(`Option '--${repeated}' is given more than once.`);
  return { values: parsed.values, words: parsed.positionals };
}

/** Formats rows as columns, each as wide as its widest cell. */
export function table(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}
