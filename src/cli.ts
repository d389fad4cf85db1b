import { audit, auditUsage } from './cli/audit.ts';
import { emails, emailsUsage } from './cli/emails.ts';
import { keys, keysUsage } from './cli/keys.ts';
import { migrate } from './cli/migrate.ts';
import { openapi } from './cli/openapi.ts';
import { UsageError } from './cli/usage-error.ts';
import { users, usersUsage } from './cli/users.ts';
import { explain } from './platform/process-lifecycle.ts';

const usage = `Usage: npm run cli -- <command>

  migrate    apply the migrations that the database lacks
  keys       list, rotate, revoke and rewrap the signing keys; keys --help
  emails     list unsent emails, and retry failed ones; emails --help
  users      make an administrator, import accounts from a file; users --help
  audit      export the audit trail; audit --help
  openapi    print the OpenAPI document as YAML
`;

interface Command {
  usage: string;
  run: (args: string[]) => Promise<void>;
}

const withoutArguments = (work: () => Promise<void>): Command => ({
  usage,
  run(args) {
    if (args.length > 0) throw new UsageError();
    return work();
  },
});

const commands: Record<string, Command> = {
  migrate: withoutArguments(migrate),
  keys: { usage: keysUsage, run: keys },
  emails: { usage: emailsUsage, run: emails },
  users: { usage: usersUsage, run: users },
  audit: { usage: auditUsage, run: audit },
  openapi: withoutArguments(openapi),
};

// Read by hand: one kid in 64 begins with a hyphen, and is no option.
const words = process.argv.slice(2);
const help = words.some((word) => word === '--help' || word === '-h');
const [name = '', ...args] = words.filter((word) => word !== '--help' && word !== '-h');
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (help) {
  process.stdout.write(command?.usage ?? usage);
  process.exit(0);
}
try {
  if (!command) throw new UsageError();
  await command.run(args);
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.stderr.write(isUsage ? (command?.usage ?? usage) : `${explain(error)}\n`);
  process.exit(isUsage ? 2 : 1);
}
