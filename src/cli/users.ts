import { createAdmin } from './create-admin.ts';
import { importFile } from './import-users.ts';
import { UsageError } from './usage-error.ts';

export const usersUsage = `Usage: npm run cli -- users <command>

  create-admin EMAIL    make an administrator: a new account, or one that is there

    --name NAME         the display name of a new account; Administrator, else
    --unverified        also of an account whose address nobody has confirmed; anybody may have registered it

  import FILE.ndjson    take accounts from a file, one JSON object a line

    --report PATH       where to write the refused lines; FILE.ndjson.refused.ndjson, else. - is the standard output
    --again             begin at the first line, though this very file was imported before

They need DATABASE_DIRECT_URL or DATABASE_URL; create-admin needs MASTER_KEYS and ISSUER or APP_URL, too.

There is no default account. A new administrator gets no password: create-admin prints a link to set one, good once, for an
hour; run it again for another. docs/authorization.md tells what an administrator may do.

docs/migrating-users.md tells what a line of an import holds.
An import that was cut off goes on where it was: run the same again. It exits with 0 when every line was taken, and with 3
when lines were refused, which the report names.
`;

/** Runs a command's words. @throws UsageError, or StartRefused with a sentence */
export async function users([command, ...args]: string[]): Promise<void> {
  if (command === 'create-admin') return createAdmin(args);
  if (command === 'import') return importFile(args);
  throw new UsageError();
}
