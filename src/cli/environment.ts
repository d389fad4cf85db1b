// Where commands find their settings: in the environment or, if it has none, in the running development instance of the folder.
import { checkAll, ConfigError, type Environment } from '../config/environment.ts';
import { findInstance } from '../dev/instance.ts';
import { StartupError } from '../lib/errors.ts';
import type { Terminal } from './command.ts';

/** What a service in production needs. If any of them is set, a command never uses the development instance. */
const serviceSettings = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'MASTER_KEYS',
  'ISSUER',
  'APP_URL',
  'TRUST_PROXY',
  'SMTP_URL',
  'MAIL_FROM',
];

const isSet = (environment: Environment) => (name: string) => environment[name] || environment[`${name}_FILE`];

/**
 * Returns the environment of a command, which the loaders accept: that of the process or, if it contains no setting of a service, that
 * of the development instance. @throws ConfigError that names everything missing or invalid
 */
export async function environmentOf(
  terminal: Pick<Terminal, 'env' | 'cwd' | 'stderr'>,
  ...loaders: readonly ((environment: Environment) => unknown)[]
): Promise<Environment> {
  const { env } = terminal;
  const present = serviceSettings.find(isSet(env));
  const instance = present === undefined ? await instanceIn(terminal.cwd()) : undefined;
  if (instance) {
    terminal.stderr.write(`Using the development instance at ${instance.issuer}.\n`);
    return { ...env, ...instance.environment };
  }
  try {
    checkAll(env, loaders);
    return env;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.errors, adviceFor(present));
  }
}

async function instanceIn(folder: string) {
  try {
    return await findInstance(folder);
  } catch (cause) {
    throw new StartupError(
      'The settings of the development instance, .data/instance.json, must be a file of the user who runs the command and npm run dev, with mode 600.',
      { cause },
    );
  }
}

const adviceFor = (present: string | undefined): string =>
  present === undefined
    ? 'Set them or, for development, run npm run dev in another terminal: commands in the same folder then need no settings.'
    : `Commands use the settings of npm run dev only if none is set, and ${present} is set.`;
