import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { type Mailbox, masterKeys, plainUrl, postgresUrl } from './lib/config-values.ts';
import { StartupError } from './lib/errors.ts';
import { auditedNames, contradictions, missingForMail, type Mode, type Parsed, settings } from './config-schema.ts';

export type { Mode };

/** Every setting's name, as it stands in the environment and in `.env.example`. */
export type Setting = keyof z.input<ReturnType<typeof settings>>;

/** Durations are in seconds, memory in KiB, lengths in code points. */
export type Config = ReturnType<typeof arrange>;

/** Values for settings that the environment leaves out; a function is called only then. */
export type Defaults = Partial<Record<Setting, () => string | Promise<string>>>;

export class ConfigError extends StartupError {
  constructor(faults: string[]) {
    super(`Keyturn cannot start with these settings:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

const secretSettings: readonly Setting[] = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'REDIS_URL',
  'SMTP_URL',
  'MASTER_KEYS',
];

const withoutSlash = (url: string): string => url.replace(/\/$/, '');

/** How mails leave; undefined where none are sent. */
export type EmailConfig = { kind: 'smtp'; url: string; from: Mailbox } | { kind: 'console'; from: Mailbox } | undefined;

function mailOf(mode: Mode, { SMTP_URL: url, MAIL_FROM: from }: Parsed): EmailConfig {
  if (from && url !== undefined) return { kind: 'smtp', url, from };
  return from && mode === 'development' ? { kind: 'console', from } : undefined;
}

function arrange(mode: Mode, parsed: Parsed) {
  return {
    host: parsed.HOST,
    port: parsed.PORT,
    /** 0: no metrics. */
    metricsPort: parsed.METRICS_PORT,
    issuer: parsed.ISSUER,
    /** The issuer without a slash at its end: what every link begins with. */
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
    /** Undefined: off. */
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
    mail: mailOf(mode, parsed),
    /** Without a slash at its end: what the links in mails begin with. */
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
    /** What security depends on, by name; `MASTER_KEYS` aside. */
    auditedSettings: Object.fromEntries(auditedNames.map((name) => [name, JSON.stringify(parsed[name]) ?? ''])),
    /** Undefined: for ever. */
    auditRetentionSeconds: parsed.AUDIT_RETENTION,
    corsOrigins: parsed.CORS_ORIGINS ?? [],
    cookieSameSite: parsed.COOKIE_SAMESITE,
    trustProxy: parsed.TRUST_PROXY,
    logLevel: parsed.LOG_LEVEL,
    logPretty: parsed.LOG_FORMAT === 'pretty',
    shutdownGraceSeconds: parsed.SHUTDOWN_GRACE,
  };
}

type Environment = Record<string, string | undefined>;

/** `NAME`, or the content of the file that `NAME_FILE` names; an empty value counts as none. */
function readSetting(environment: Environment, name: Setting, faults: string[]): string | undefined {
  const [value, file] = [environment[name] || undefined, environment[`${name}_FILE`] || undefined];
  if (!file || !secretSettings.includes(name)) return value;
  if (value) faults.push(`${name} and ${name}_FILE are both set`);
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    faults.push(`${name}_FILE names a file that cannot be read`);
    return value;
  }
}

/**
 * Reads the settings (docs: `.env.example`). The only reader of the process's environment.
 * @throws ConfigError that names every fault at once, never a secret's value
 */
export async function loadConfig(
  mode: Mode,
  defaults: Defaults = {},
  environment: Environment = process.env,
): Promise<Config> {
  const poolThreads = Number(environment['UV_THREADPOOL_SIZE'] ?? 4);
  const schema = settings(mode, poolThreads);
  const faults: string[] = [];
  const raw: Environment = {};
  for (const name of schema.keyof().options) {
    raw[name] = readSetting(environment, name, faults) ?? (await defaults[name]?.());
  }
  if (mode === 'development') raw['ISSUER'] ??= `http://localhost:${raw['PORT'] ?? 3000}`;
  const parsed = schema.safeParse(raw);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = path.join('.');
    faults.push(raw[name] === undefined ? `${name} is required in ${mode}` : `${name} ${message}`);
  }
  faults.push(...missingForMail(mode, raw));
  if (parsed.success) faults.push(...contradictions(parsed.data, poolThreads));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return arrange(mode, parsed.data);
}

/** Postgres itself, for migrations and the operator: needs no other setting. @throws ConfigError */
export function loadDirectUrl(environment: Environment = process.env): string {
  const faults: string[] = [];
  const [direct, pooled] = (['DATABASE_DIRECT_URL', 'DATABASE_URL'] as const).map((name) =>
    readSetting(environment, name, faults),
  );
  const parsed = postgresUrl.safeParse(direct ?? pooled);
  if (!parsed.success)
    faults.push(`${direct ? 'DATABASE_DIRECT_URL' : 'DATABASE_URL'} must be a URL that starts with postgresql://`);
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return parsed.data;
}

/** For what opens signing keys, and needs no other setting. @throws ConfigError */
export function loadMasterKeys(environment: Environment = process.env): Buffer[] {
  const faults: string[] = [];
  const text = readSetting(environment, 'MASTER_KEYS', faults);
  const parsed = masterKeys.safeParse(text);
  if (text === undefined) faults.push('MASTER_KEYS is required');
  else faults.push(...(parsed.error?.issues ?? []).map(({ message }) => `MASTER_KEYS ${message}`));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return parsed.data;
}

/** What links begin with, as the service has it, and no other setting. @throws ConfigError */
export function loadAppUrl(environment: Environment = process.env): string {
  const name = environment['APP_URL'] ? 'APP_URL' : 'ISSUER';
  const text = environment[name] || undefined;
  const parsed = plainUrl.safeParse(text);
  if (text === undefined) throw new ConfigError(['ISSUER or APP_URL is required']);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map(({ message }) => `${name} ${message}`));
  return withoutSlash(parsed.data);
}
