import { importFile } from './import-users.ts';
import { UsageError } from './usage-error.ts';

export const usersUsage = `Usage: npm run cli -- users <command>

  import FILE.ndjson    take accounts from a file, one JSON object a line

    --report PATH       where to write the refused lines; FILE.ndjson.refused.ndjson, else. - is the standard output
    --again             begin at the first line, though this very file was imported before

They need DATABASE_DIRECT_URL or DATABASE_URL. docs/migrating-users.md tells what a line holds.
An import that was cut off goes on where it was: run the same again. It exits with 0 when every line was taken, and with 3
when lines were refused, which the report names.
`;

/** Runs a command's words. @throws UsageError, or StartRefused with a sentence */
export async function users([command, ...args]: string[]): Promise<void> {
  if (command === 'import') return importFile(args);
  throw new UsageError();
}
