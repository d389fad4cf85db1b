import { describeFatalError } from '../platform/process/lifecycle.ts';
import { type Command, type Terminal, unknownCommand, UsageError } from './command.ts';

const usage = `Usage: npm run cli -- <command>

  migrate    apply the pending migrations
  keys       list, rotate, revoke and rewrap the signing keys; see keys --help
  emails     list unsent emails and retry failed ones; see emails --help
  users      create an administrator or import accounts; see users --help
  sessions   log out every user; see sessions --help
  audit      export the audit trail; see audit --help
  openapi    print the OpenAPI document as YAML

While npm run dev runs, commands in the same folder use its database and keys, unless the environment contains settings of a service.
`;

/** Each command loads only what it needs, which halves the time of a start. */
const commands: Record<string, () => Promise<Command>> = {
  migrate: async () => (await import('./migrate.ts')).migrate,
  keys: async () => (await import('./keys.ts')).keys,
  emails: async () => (await import('./emails.ts')).emails,
  users: async () => (await import('./users.ts')).users,
  sessions: async () => (await import('./sessions.ts')).sessions,
  audit: async () => (await import('./audit.ts')).audit,
  openapi: async () => (await import('./openapi.ts')).openapi,
};

// Without parseArgs, because a kid can begin with a hyphen.
const isHelp = (word: string) => word === '--help' || word === '-h';

/** Runs one command, such as `['keys', 'list']`. Prints every error. Returns the exit code. */
export async function runCommandLine(words: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...args] = words.filter((word) => !isHelp(word));
  const command = name !== undefined && Object.hasOwn(commands, name) ? await commands[name]?.() : undefined;
  const commandUsage = command?.usage ?? usage;
  if (words.some(isHelp)) {
    terminal.stdout.write(commandUsage);
    return 0;
  }
  try {
    if (!command) throw unknownCommand(name);
    return (await command.run(args, terminal)) ?? 0;
  } catch (error) {
    const isUsage = error instanceof UsageError;
    terminal.stderr.write(isUsage ? `${commandUsage}\n${error.message}\n` : `${describeFatalError(error)}\n`);
    return isUsage ? 2 : 1;
  }
}
