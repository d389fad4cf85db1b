import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { StartRefused } from './kernel/start-refused.ts';
import {
  audience,
  choice,
  duration,
  issuerUrl,
  masterKeys,
  postgresUrl,
  trustProxy,
  url,
  whole,
} from './kernel/setting-kinds.ts';

export type Mode = 'production' | 'development';

/** Every setting's name, as it stands in the environment and in `.env.example`. */
export type Setting = keyof ReturnType<typeof settings>['shape'];

/** Durations are in seconds, memory in KiB, lengths in code points. */
export type Config = ReturnType<typeof arrange>;

/** Values for settings that the environment leaves out; a function is called only then. */
export type Defaults = Partial<Record<Setting, () => string | Promise<string>>>;

export class ConfigError extends StartRefused {
  constructor(faults: string[]) {
    super(`Keyturn cannot start with these settings:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

const secretSettings: readonly Setting[] = ['DATABASE_URL', 'DATABASE_DIRECT_URL', 'MASTER_KEYS'];

const settings = (mode: Mode, poolThreads: number) => {
  const development = mode === 'development';
  const hashes = Math.max(1, Math.min(availableParallelism() - 1, poolThreads - 1));
  return z.object({
    HOST: z.string().default('0.0.0.0'),
    PORT: whole(3000, 0, 65_535),
    ISSUER: issuerUrl.refine((text) => development || text.startsWith('https://'), {
      error: 'must be https in production',
    }),
    AUDIENCE: audience.optional(),
    DATABASE_URL: postgresUrl,
    DATABASE_DIRECT_URL: postgresUrl.optional(),
    DATABASE_STATEMENT_NAMES: choice('on', 'off').default('on'),
    DATABASE_POOL_MAX: whole(10, 1, 1000),
    DATABASE_TIMEOUT: duration('5s', '1s', '5m'),
    MASTER_KEYS: masterKeys,
    JWT_ALG: choice('ES256', 'EdDSA', 'RS256', 'PS256').default('ES256'),
    ACCESS_TTL: duration('15m', '1m', '1h'),
    REFRESH_TTL: duration('30d', '1s', '400d'),
    SESSION_TTL: duration('30d', '1s', '3650d'),
    REFRESH_LEEWAY: duration('30s', '0', '60s'),
    JWKS_MAX_AGE: duration('5m', '1s', '1d'),
    ARGON2_MEMORY_KIB: whole(65_536, 8, 4_194_304),
    ARGON2_ITERATIONS: whole(3, 1, 100),
    ARGON2_PARALLELISM: whole(4, 1, 64),
    HASH_CONCURRENCY: whole(hashes, 1, 1000),
    HASH_QUEUE_MAX: whole(100, 0, 100_000),
    PASSWORD_MIN_LENGTH: whole(8, 8, 64),
    PASSWORD_BLOCKLIST_FILE: z.string().optional(),
    HIBP_URL: url('an http or https URL', 'https:', 'http:').optional(),
    REGISTRATION: choice('open', 'closed').default('open'),
    EMAIL_VERIFICATION: z
      .enum(['off'], { error: 'must be off: this release sends no mail, so no address can be verified' })
      .default('off'),
    TRUST_PROXY: development ? trustProxy.prefault('off') : trustProxy,
    LOG_LEVEL: choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent').default('info'),
    LOG_FORMAT: choice('json', 'pretty').default(development ? 'pretty' : 'json'),
    SHUTDOWN_GRACE: duration('10s', '1s', '10m'),
  });
};

/** OWASP's floor for Argon2id: any of its equivalent pairs of memory and iterations (Password Storage Cheat Sheet). */
const argon2Floor: readonly (readonly [memoryKib: number, iterations: number])[] = [
  [47_104, 1],
  [19_456, 2],
  [12_288, 3],
  [9_216, 4],
  [7_168, 5],
];

type Parsed = z.output<ReturnType<typeof settings>>;

function contradictions(parsed: Parsed, poolThreads: number): string[] {
  const faults: string[] = [];
  const { ARGON2_MEMORY_KIB: memory, ARGON2_ITERATIONS: iterations } = parsed;
  if (!argon2Floor.some(([m, t]) => memory >= m && iterations >= t))
    faults.push(
      `ARGON2_MEMORY_KIB ${memory} with ARGON2_ITERATIONS ${iterations} is weaker than OWASP's floor (19456, 2)`,
    );
  if (parsed.ARGON2_MEMORY_KIB < 8 * parsed.ARGON2_PARALLELISM)
    faults.push('ARGON2_MEMORY_KIB must be at least 8 times ARGON2_PARALLELISM (RFC 9106 section 3.1)');
  if (parsed.HASH_CONCURRENCY >= poolThreads)
    faults.push(
      `HASH_CONCURRENCY ${parsed.HASH_CONCURRENCY} would fill the thread pool of ${poolThreads}: start through npm start, which sizes it, or set UV_THREADPOOL_SIZE`,
    );
  return faults;
}

function arrange(parsed: Parsed) {
  return {
    host: parsed.HOST,
    port: parsed.PORT,
    issuer: parsed.ISSUER,
    /** The issuer without a slash at its end: what every link begins with. */
    baseUrl: parsed.ISSUER.replace(/\/$/, ''),
    audience: (parsed.AUDIENCE ?? parsed.ISSUER).split(',').map((audience) => audience.trim()),
    database: {
      url: parsed.DATABASE_URL,
      directUrl: parsed.DATABASE_DIRECT_URL ?? parsed.DATABASE_URL,
      statementNames: parsed.DATABASE_STATEMENT_NAMES === 'on',
      pooled: (parsed.DATABASE_DIRECT_URL ?? parsed.DATABASE_URL) !== parsed.DATABASE_URL,
      poolMax: parsed.DATABASE_POOL_MAX,
      timeoutSeconds: parsed.DATABASE_TIMEOUT,
    },
    masterKeys: parsed.MASTER_KEYS,
    jwtAlg: parsed.JWT_ALG,
    accessTtlSeconds: parsed.ACCESS_TTL,
    refreshTtlSeconds: parsed.REFRESH_TTL,
    sessionTtlSeconds: parsed.SESSION_TTL,
    refreshLeewaySeconds: parsed.REFRESH_LEEWAY,
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
    registrationOpen: parsed.REGISTRATION === 'open',
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
  if (parsed.success) faults.push(...contradictions(parsed.data, poolThreads));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return arrange(parsed.data);
}

/** Where migrations are applied: needs no other setting. @throws ConfigError */
export function loadMigrationUrl(environment: Environment = process.env): string {
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
