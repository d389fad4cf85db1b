// A service, its database and `npm run cli -- users import` as a separate process.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Output } from '../support/run-cli.ts';
import { runCli } from '../support/run-cli.ts';
import { type Settings, startApp, type TestApp } from '../harness.ts';

export interface RefusedLine {
  line: number;
  reasons: string[];
}

export interface ImportHarness {
  app: TestApp;
  folder: string;
  /** Writes lines, each an object or text, to a file and returns its path. */
  write(...lines: (object | string)[]): Promise<string>;
  run(...args: string[]): Promise<Output>;
  /** Reads the report of the refused lines of a file. */
  readRefusedLines(path: string): Promise<RefusedLine[]>;
  rows(sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

let files = 0;

export const readReport = (text: string): RefusedLine[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as RefusedLine);

export async function startImportHarness(settings: Settings = {}): Promise<ImportHarness> {
  const app = await startApp(settings);
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-import-'));
  return {
    app,
    folder,
    async write(...lines) {
      const path = join(folder, `users.${(files += 1)}.ndjson`);
      const texts = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
      await writeFile(path, texts.map((text) => `${text}\n`).join(''));
      return path;
    },
    run: (...args) => runCli({ DATABASE_URL: app.databaseUrl }, 'users', 'import', ...args),
    readRefusedLines: async (path) => readReport(await readFile(`${path}.refused.ndjson`, 'utf8')),
    rows: async (sql, ...values) => (await app.sql.query(sql, values)).rows as Record<string, unknown>[],
    async close() {
      await app.close();
      await rm(folder, { recursive: true });
    },
  };
}
