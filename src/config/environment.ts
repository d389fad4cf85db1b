import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { StartupError } from '../lib/errors.ts';
import { schemaErrors } from './checks.ts';
import { type configSchema, secretNames } from './schema.ts';
import { masterKeys, plainUrl, postgresUrl } from './values.ts';

export type Environment = Record<string, string | undefined>;

/** The names of the environment variables in `.env.example`. */
export type VariableName = keyof z.input<ReturnType<typeof configSchema>>;

export class ConfigError extends StartupError {
  readonly errors: readonly string[];

  /** `advice` follows the errors. */
  constructor(errors: readonly string[], advice?: string) {
    const lines = ['The configuration is invalid:', ...errors.map((error) => `  - ${error}`), advice ?? []].flat();
    super(lines.join('\n'));
    this.errors = errors;
  }
}

export const withoutSlash = (url: string): string => url.replace(/\/$/, '');

/** Reads `NAME` or, for secrets, the file in `NAME_FILE`. An empty value counts as missing. Adds to `errors`. */
export function readVariable(environment: Environment, name: VariableName, errors: string[]): string | undefined {
  const [value, file] = [environment[name] || undefined, environment[`${name}_FILE`] || undefined];
  if (!file || !secretNames.includes(name)) return value;
  if (value) errors.push(`${name} and ${name}_FILE are both set; remove one of them`);
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    errors.push(`${name}_FILE names a file that cannot be read`);
    return value;
  }
}

/** Reads the URL of Postgres itself, for migrations and commands. Requires no other variable. @throws ConfigError */
export function loadDirectUrl(environment: Environment): string {
  const errors: string[] = [];
  const [direct, pooled] = (['DATABASE_DIRECT_URL', 'DATABASE_URL'] as const).map((name) =>
    readVariable(environment, name, errors),
  );
  const text = direct ?? pooled;
  const parsed = postgresUrl.safeParse(text);
  const name = direct ? 'DATABASE_DIRECT_URL' : 'DATABASE_URL';
  if (text !== undefined) errors.push(...(parsed.error?.issues ?? []).map(({ message }) => `${name} ${message}`));
  else if (errors.length === 0) errors.push('DATABASE_URL is required');
  if (parsed.success) errors.push(...schemaErrors(pooled, direct));
  if (!parsed.success || errors.length > 0) throw new ConfigError(errors);
  return parsed.data;
}

/** Reads MASTER_KEYS. Requires no other variable. @throws ConfigError */
export function loadMasterKeys(environment: Environment): Buffer[] {
  const errors: string[] = [];
  const text = readVariable(environment, 'MASTER_KEYS', errors);
  const parsed = masterKeys.safeParse(text);
  if (text !== undefined) errors.push(...(parsed.error?.issues ?? []).map(({ message }) => `MASTER_KEYS ${message}`));
  else if (errors.length === 0) errors.push('MASTER_KEYS is required');
  if (!parsed.success || errors.length > 0) throw new ConfigError(errors);
  return parsed.data;
}

/** Reads the start of links in emails, like the service. Requires no other variable. @throws ConfigError */
export function loadAppUrl(environment: Environment): string {
  const name = environment['APP_URL'] ? 'APP_URL' : 'ISSUER';
  const text = environment[name] || undefined;
  const parsed = plainUrl.safeParse(text);
  if (text === undefined) throw new ConfigError(['ISSUER or APP_URL is required']);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map(({ message }) => `${name} ${message}`));
  return withoutSlash(parsed.data);
}

/** Whether processes with this environment send email over SMTP. */
export const hasSmtp = ({ SMTP_URL: url, SMTP_URL_FILE: file }: Environment): boolean => Boolean(url || file);

/** Reads several values. @throws ConfigError with the errors of all of them */
export function checkAll(environment: Environment, loaders: readonly ((environment: Environment) => unknown)[]): void {
  const errors = loaders.flatMap((load) => {
    try {
      load(environment);
      return [];
    } catch (error) {
      if (error instanceof ConfigError) return error.errors;
      throw error;
    }
  });
  if (errors.length > 0) throw new ConfigError(errors);
}
