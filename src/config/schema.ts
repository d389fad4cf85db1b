import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { SigningAlg } from '../core/signing-keys/signing-key.ts';
import {
  audience,
  choice,
  duration,
  durationOrOff,
  headerNames,
  integer,
  mailbox,
  masterKeys,
  origins,
  plainUrl,
  postgresUrl,
  rate,
  redisUrl,
  smtpUrl,
  trustProxy,
  url,
} from './values.ts';
import type { Mailbox } from '../platform/mailer.ts';

export type Mode = 'production' | 'development';

/** The type, default and bounds of each environment variable. `.env.example` describes their purpose. */
export const configSchema = (mode: Mode, poolThreads: number) => {
  const development = mode === 'development';
  const defaultHashConcurrency = Math.max(1, Math.min(availableParallelism() - 1, poolThreads - 1));
  const publicUrl = plainUrl.refine((text) => development || text.startsWith('https://'), {
    error: 'must be an https URL in production',
  });
  return z.object({
    HOST: z.string().default('0.0.0.0'),
    PORT: integer(3000, 0, 65_535),
    METRICS_HOST: z.string().default('127.0.0.1'),
    METRICS_PORT: integer(9464, 0, 65_535),
    ISSUER: publicUrl,
    AUDIENCE: audience.optional(),
    DATABASE_URL: postgresUrl,
    DATABASE_DIRECT_URL: postgresUrl.optional(),
    DATABASE_STATEMENT_NAMES: choice('on', 'off').default('on'),
    DATABASE_POOL_MAX: integer(10, 1, 1000),
    DATABASE_TIMEOUT: duration('5s', '1s', '5m'),
    REDIS_URL: redisUrl.optional(),
    MASTER_KEYS: development
      ? masterKeys
      : masterKeys.refine(([first]) => first?.some((byte) => byte !== 0), {
          error:
            'must be random keys, not zeros. .env.example shows how to generate one, and docs/operating.md how to replace one',
        }),
    JWT_ALG: choice(...SigningAlg.options).default('ES256'),
    ACCESS_TTL: duration('15m', '1m', '1h'),
    REFRESH_TTL: duration('30d', '1s', '400d'),
    SESSION_TTL: duration('30d', '1s', '3650d'),
    REFRESH_GRACE_PERIOD: duration('30s', '0', '60s'),
    SIGNING_KEY_ROTATION: durationOrOff('90d', '1s', '3650d'),
    JWKS_MAX_AGE: duration('5m', '1s', '1d'),
    ARGON2_MEMORY_KIB: integer(65_536, 8, 4_194_304),
    ARGON2_ITERATIONS: integer(3, 1, 100),
    ARGON2_PARALLELISM: integer(4, 1, 64),
    HASH_CONCURRENCY: integer(defaultHashConcurrency, 1, 1000),
    HASH_QUEUE_MAX: integer(100, 0, 100_000),
    PASSWORD_MIN_LENGTH: integer(8, 8, 64),
    PASSWORD_BLOCKLIST_FILE: z.string().optional(),
    HIBP_URL: url('an http or https URL', 'https:', 'http:').optional(),
    PASSWORD_GRANT: choice('on', 'off').default(development ? 'on' : 'off'),
    REGISTRATION: choice('open', 'closed').default('open'),
    EMAIL_VERIFICATION: choice('off', 'optional', 'required').default('optional'),
    UNVERIFIED_ACCOUNT_RETENTION: durationOrOff('30d', '1d', '3650d'),
    SMTP_URL: smtpUrl.optional(),
    MAIL_FROM: development ? mailbox.prefault('Keyturn <keyturn@localhost>') : mailbox.optional(),
    APP_URL: publicUrl.optional(),
    LOCKOUT_ATTEMPTS: integer(5, 1, 1_000_000),
    LOCKOUT_TOTAL: integer(50, 1, 1_000_000),
    LOCKOUT_DURATION: duration('15m', '1s', '30d'),
    RATE_LIMIT_LOGIN: rate('20/15m'),
    RATE_LIMIT_REGISTER: rate('30/1h'),
    RATE_LIMIT_REFRESH: rate('60/1m'),
    RATE_LIMIT_MAIL: rate('10/15m'),
    RATE_LIMIT_DEFAULT: rate('600/1m'),
    AUDIT_RETENTION: durationOrOff('400d', '30d', '3650d'),
    CORS_ORIGINS: origins({ anyHttp: development }).optional(),
    CORS_ALLOWED_HEADERS: headerNames.optional(),
    COOKIE_SAMESITE: choice('lax', 'strict', 'none').default('lax'),
    COOKIE_PARTITIONED: choice('on', 'off').default('off'),
    TRUST_PROXY: development ? trustProxy.prefault('off') : trustProxy,
    LOG_LEVEL: choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent').default('info'),
    LOG_FORMAT: choice('json', 'pretty').default(development ? 'pretty' : 'json'),
    SHUTDOWN_DELAY: duration('0s', '0', '5m'),
    SHUTDOWN_GRACE: duration('10s', '1s', '10m'),
  });
};

export type Parsed = z.output<ReturnType<typeof configSchema>>;

/** Each of these can also be read from the file in `NAME_FILE`. */
export const secretNames: readonly string[] = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'REDIS_URL',
  'SMTP_URL',
  'MASTER_KEYS',
];

/** The security-relevant variables, whose changes are audited. Locations, capacities and logging are not. */
export const auditedNames = [
  'ISSUER',
  'AUDIENCE',
  'JWT_ALG',
  'ACCESS_TTL',
  'REFRESH_TTL',
  'SESSION_TTL',
  'REFRESH_GRACE_PERIOD',
  'SIGNING_KEY_ROTATION',
  'JWKS_MAX_AGE',
  'ARGON2_MEMORY_KIB',
  'ARGON2_ITERATIONS',
  'ARGON2_PARALLELISM',
  'PASSWORD_MIN_LENGTH',
  'PASSWORD_BLOCKLIST_FILE',
  'HIBP_URL',
  'REGISTRATION',
  'EMAIL_VERIFICATION',
  'UNVERIFIED_ACCOUNT_RETENTION',
  'MAIL_FROM',
  'APP_URL',
  'LOCKOUT_ATTEMPTS',
  'LOCKOUT_TOTAL',
  'LOCKOUT_DURATION',
  'RATE_LIMIT_LOGIN',
  'RATE_LIMIT_REGISTER',
  'RATE_LIMIT_REFRESH',
  'RATE_LIMIT_MAIL',
  'RATE_LIMIT_DEFAULT',
  'AUDIT_RETENTION',
  'CORS_ORIGINS',
  'CORS_ALLOWED_HEADERS',
  'COOKIE_SAMESITE',
  'COOKIE_PARTITIONED',
  'TRUST_PROXY',
] as const satisfies readonly (keyof Parsed)[];

/** How emails are sent; undefined if none are. */
export type EmailConfig = { kind: 'smtp'; url: string; from: Mailbox } | { kind: 'console'; from: Mailbox } | undefined;

export function emailConfigOf(mode: Mode, { SMTP_URL: url, MAIL_FROM: from }: Parsed): EmailConfig {
  if (from && url !== undefined) return { kind: 'smtp', url, from };
  return from && mode === 'development' ? { kind: 'console', from } : undefined;
}
