import { audit, auditUsage } from './cli/audit.ts';
import { emails, emailsUsage } from './cli/emails.ts';
import { keys, keysUsage } from './cli/keys.ts';
import { migrate } from './cli/migrate.ts';
import { openapi } from './cli/openapi.ts';
import { UsageError } from './cli/usage-error.ts';
import { users, usersUsage } from './cli/users.ts';
import { describeFatalError } from './platform/process/lifecycle.ts';

const usage = `Usage: npm run cli -- <command>

  migrate    apply the pending migrations
  keys       list, rotate, revoke and rewrap the signing keys; see keys --help
  emails     list unsent emails and retry failed ones; see emails --help
  users      create an administrator or import accounts; see users --help
  audit      export the audit trail; see audit --help
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

// Without parseArgs, because a kid can begin with a hyphen.
const words = process.argv.slice(2);
const isHelp = (word: string) => word === '--help' || word === '-h';
const [name = '', ...args] = words.filter((word) => !isHelp(word));
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (words.some(isHelp)) {
  process.stdout.write(command?.usage ?? usage);
  process.exit(0);
}
try {
  if (!command) throw new UsageError();
  await command.run(args);
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.stderr.write(
    isUsage
      ? (command?.usage ?? usage)
      : `${describeFatalError(error)}
`,
  );
  process.exit(isUsage ? 2 : 1);
}
