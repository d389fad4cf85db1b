import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { StartupError } from './lib/errors.ts';
import { combinationErrors, emailErrors, schemaErrors, warningsOf } from './config/checks.ts';
import {
  auditedNames,
  configSchema,
  emailConfigOf,
  type EmailConfig,
  type Mode,
  type Parsed,
  secretNames,
} from './config/schema.ts';
import { masterKeys, plainUrl, postgresUrl } from './config/values.ts';

export type { EmailConfig, Mode };

/** The names of the environment variables in `.env.example`. */
export type VariableName = keyof z.input<ReturnType<typeof configSchema>>;

/** Durations are in seconds, memory in KiB, lengths in code points. */
export type Config = ReturnType<typeof toConfig>;

/** Values of missing variables. A function is called only if its variable is missing. */
export type Defaults = Partial<Record<VariableName, () => string | Promise<string>>>;

export class ConfigError extends StartupError {
  constructor(errors: readonly string[]) {
    super(`The configuration is invalid:\n${errors.map((error) => `  - ${error}`).join('\n')}`);
  }
}

const withoutSlash = (url: string): string => url.replace(/\/$/, '');

function toConfig(mode: Mode, parsed: Parsed) {
  return {
    host: parsed.HOST,
    port: parsed.PORT,
    metricsHost: parsed.METRICS_HOST,
    /** 0 disables metrics. */
    metricsPort: parsed.METRICS_PORT,
    issuer: parsed.ISSUER,
    /** The issuer without a trailing slash, for URLs. */
    baseUrl: withoutSlash(parsed.ISSUER),
    audience: (parsed.AUDIENCE ?? parsed.ISSUER).split(',').map((audience) => audience.trim()),
    database: {
      url: parsed.DATABASE_URL,
      directUrl: parsed.DATABASE_DIRECT_URL ?? parsed.DATABASE_URL,
      statementNames: parsed.DATABASE_STATEMENT_NAMES === 'on',
      pooled: (parsed.DATABASE_DIRECT_URL ?? parsed.DATABASE_URL) !== parsed.DATABASE_URL,
      poolMax: parsed.DATABASE_POOL_MAX,
      timeoutSeconds: parsed.DATABASE_TIMEOUT,
    },
    redisUrl: parsed.REDIS_URL,
    masterKeys: parsed.MASTER_KEYS,
    jwtAlg: parsed.JWT_ALG,
    accessTtlSeconds: parsed.ACCESS_TTL,
    refreshTtlSeconds: parsed.REFRESH_TTL,
    sessionTtlSeconds: parsed.SESSION_TTL,
    refreshGracePeriodSeconds: parsed.REFRESH_GRACE_PERIOD,
    /** Undefined: no automatic rotation. */
    signingKeyRotationSeconds: parsed.SIGNING_KEY_ROTATION,
    jwksMaxAgeSeconds: parsed.JWKS_MAX_AGE,
    hashing: {
      memoryKib: parsed.ARGON2_MEMORY_KIB,
      iterations: parsed.ARGON2_ITERATIONS,
      parallelism: parsed.ARGON2_PARALLELISM,
      concurrency: parsed.HASH_CONCURRENCY,
      queueMax: parsed.HASH_QUEUE_MAX,
    },
    passwordMinLength: parsed.PASSWORD_MIN_LENGTH,
    passwordBlocklistFile: parsed.PASSWORD_BLOCKLIST_FILE,
    hibpUrl: parsed.HIBP_URL,
    passwordGrant: parsed.PASSWORD_GRANT === 'on',
    registrationOpen: parsed.REGISTRATION === 'open',
    emailVerification: parsed.EMAIL_VERIFICATION,
    /** Undefined: unused accounts are kept. Without verification, an unverified address means nothing. */
    unverifiedAccountRetentionSeconds:
      parsed.EMAIL_VERIFICATION === 'off' ? undefined : parsed.UNVERIFIED_ACCOUNT_RETENTION,
    mail: emailConfigOf(mode, parsed),
    /** The start of links in emails, without a trailing slash. */
    appUrl: withoutSlash(parsed.APP_URL ?? parsed.ISSUER),
    lockout: {
      attempts: parsed.LOCKOUT_ATTEMPTS,
      total: parsed.LOCKOUT_TOTAL,
      durationSeconds: parsed.LOCKOUT_DURATION,
    },
    rateLimits: {
      login: parsed.RATE_LIMIT_LOGIN,
      register: parsed.RATE_LIMIT_REGISTER,
      refresh: parsed.RATE_LIMIT_REFRESH,
      mail: parsed.RATE_LIMIT_MAIL,
      default: parsed.RATE_LIMIT_DEFAULT,
    },
    /** The security-relevant variables except `MASTER_KEYS`, by name. */
    auditedSettings: Object.fromEntries(auditedNames.map((name) => [name, JSON.stringify(parsed[name]) ?? ''])),
    /** Undefined: events are kept forever. */
    auditRetentionSeconds: parsed.AUDIT_RETENTION,
    corsOrigins: parsed.CORS_ORIGINS ?? [],
    corsAllowedHeaders: parsed.CORS_ALLOWED_HEADERS ?? [],
    cookieSameSite: parsed.COOKIE_SAMESITE,
    cookiePartitioned: parsed.COOKIE_PARTITIONED === 'on',
    trustProxy: parsed.TRUST_PROXY,
    logLevel: parsed.LOG_LEVEL,
    logPretty: parsed.LOG_FORMAT === 'pretty',
    shutdownDelaySeconds: parsed.SHUTDOWN_DELAY,
    shutdownGraceSeconds: parsed.SHUTDOWN_GRACE,
    warnings: warningsOf(mode, parsed),
  };
}

export type Environment = Record<string, string | undefined>;

/** Reads `NAME` or, for secrets, the file in `NAME_FILE`. An empty value counts as missing. Adds to `errors`. */
function readVariable(environment: Environment, name: VariableName, errors: string[]): string | undefined {
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

/**
 * Reads the configuration from the environment. Only this file reads the environment.
 * @throws ConfigError with all errors, and without the values of secrets
 */
export async function loadConfig(
  mode: Mode,
  defaults: Defaults = {},
  environment: Environment = process.env,
): Promise<Config> {
  const poolThreads = Number(environment['UV_THREADPOOL_SIZE'] ?? 4);
  const schema = configSchema(mode, poolThreads);
  const errors: string[] = [];
  const raw: Environment = {};
  for (const name of schema.keyof().options) {
    raw[name] = readVariable(environment, name, errors) ?? (await defaults[name]?.());
  }
  if (mode === 'development') raw['ISSUER'] ??= `http://localhost:${raw['PORT'] ?? 3000}`;
  const parsed = schema.safeParse(raw);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = path.join('.');
    errors.push(raw[name] === undefined ? `${name} is required in ${mode}` : `${name} ${message}`);
  }
  // During an upgrade, both names may be set: processes of the former release read REFRESH_LEEWAY.
  if (environment['REFRESH_LEEWAY'] && raw['REFRESH_GRACE_PERIOD'] === undefined) {
    errors.push('REFRESH_LEEWAY was renamed: set REFRESH_GRACE_PERIOD');
  }
  errors.push(...emailErrors(mode, raw));
  if (parsed.success) errors.push(...combinationErrors(parsed.data, poolThreads));
  if (!parsed.success || errors.length > 0) throw new ConfigError(errors);
  return toConfig(mode, parsed.data);
}

/** Reads the URL of Postgres itself, for migrations and the command line. Requires no other variable. @throws ConfigError */
export function loadDirectUrl(environment: Environment = process.env): string {
  const errors: string[] = [];
  const [direct, pooled] = (['DATABASE_DIRECT_URL', 'DATABASE_URL'] as const).map((name) =>
    readVariable(environment, name, errors),
  );
  const parsed = postgresUrl.safeParse(direct ?? pooled ?? '');
  const name = direct ? 'DATABASE_DIRECT_URL' : 'DATABASE_URL';
  errors.push(...(parsed.error?.issues ?? []).map(({ message }) => `${name} ${message}`));
  if (parsed.success) errors.push(...schemaErrors(pooled, direct));
  if (!parsed.success || errors.length > 0) throw new ConfigError(errors);
  return parsed.data;
}

/** Reads MASTER_KEYS. Requires no other variable. @throws ConfigError */
export function loadMasterKeys(environment: Environment = process.env): Buffer[] {
  const errors: string[] = [];
  const text = readVariable(environment, 'MASTER_KEYS', errors);
  const parsed = masterKeys.safeParse(text);
  if (text === undefined) errors.push('MASTER_KEYS is required');
  else errors.push(...(parsed.error?.issues ?? []).map(({ message }) => `MASTER_KEYS ${message}`));
  if (!parsed.success || errors.length > 0) throw new ConfigError(errors);
  return parsed.data;
}

/** Whether processes with this environment send email over SMTP. */
export const hasSmtp = ({ SMTP_URL: url, SMTP_URL_FILE: file }: Environment): boolean => Boolean(url || file);

/** Reads the start of links in emails, like the service. Requires no other variable. @throws ConfigError */
export function loadAppUrl(environment: Environment = process.env): string {
  const name = environment['APP_URL'] ? 'APP_URL' : 'ISSUER';
  const text = environment[name] || undefined;
  const parsed = plainUrl.safeParse(text);
  if (text === undefined) throw new ConfigError(['ISSUER or APP_URL is required']);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map(({ message }) => `${name} ${message}`));
  return withoutSlash(parsed.data);
}
