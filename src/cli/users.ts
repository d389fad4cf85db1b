import { createAdmin } from './users/create-admin.ts';
import { importFile } from './users/import-users.ts';
import { type Command, unknownCommand } from './command.ts';

const usage = `Usage: npm run cli -- users <command>

  create-admin EMAIL    create an administrator, or make an existing account one

    --name NAME         the display name of a new account (default: Administrator)
    --keep-credentials  keep the password, sessions and API keys of an existing account

  import FILE.ndjson    import accounts from a file with one JSON object per line

    --report PATH       the file for refused lines; - is the standard output (default: FILE.ndjson.refused.ndjson)
    --again             import the file again from its first line

Requires DATABASE_DIRECT_URL or DATABASE_URL. create-admin also requires MASTER_KEYS, and APP_URL or ISSUER.

create-admin prints a link to set the password. The link can be used once, within an hour. Run the command again for a new link. An
existing account loses its password, sessions, API keys and emailed links, because anyone may have registered it. With SMTP_URL, its
owner is notified by email. docs/authorization.md describes the permissions of administrators.

import resumes an interrupted import of the same file. It exits with 0 if every line was imported and with 3 if lines were refused.
docs/migrating-users.md describes the file format.
`;

/** Creates administrators or imports accounts. */
export const users: Command = {
  usage,
  async run([command, ...args], terminal) {
    if (command === 'create-admin') return createAdmin(args, terminal);
    if (command === 'import') return importFile(args, terminal);
    throw unknownCommand(command);
  },
};
