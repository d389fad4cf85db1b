import { combinationErrors, emailErrors, warningsOf } from './config/checks.ts';
import { ConfigError, type Environment, readVariable, type VariableName, withoutSlash } from './config/environment.ts';
import {
  auditedNames,
  configSchema,
  emailConfigOf,
  type EmailConfig,
  type Mode,
  type Parsed,
} from './config/schema.ts';

export { ConfigError, type EmailConfig, type Environment, type Mode, type VariableName };

/** Durations are in seconds, memory in KiB, lengths in code points. */
export type Config = ReturnType<typeof toConfig>;

/** Values of missing variables. A function is called only if its variable is missing. */
export type Defaults = Partial<Record<VariableName, () => string | Promise<string>>>;

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
    /** Whether pages of every origin on this machine are allowed too. */
    allowsLocalOrigins: mode === 'development',
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

/** Returns the values that are valid on their own. */
function validValues(schema: ReturnType<typeof configSchema>, raw: Environment): Partial<Parsed> {
  const results = Object.entries(schema.shape).map(([name, type]) => [name, type.safeParse(raw[name]).data] as const);
  return Object.fromEntries(results);
}

const adviceFor = ({ DATABASE_URL: url, MASTER_KEYS: keys }: Environment): string | undefined =>
  url === undefined && keys === undefined ? 'For development, run npm run dev, which needs no settings.' : undefined;

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
  errors.push(...combinationErrors(parsed.data ?? validValues(schema, raw), poolThreads));
  if (!parsed.success || errors.length > 0) throw new ConfigError(errors, adviceFor(raw));
  return toConfig(mode, parsed.data);
}
