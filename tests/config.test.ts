import { describe, expect, test } from '@jest/globals';
import { type Config, ConfigError, loadConfig, type Mode, type VariableName } from '../src/config.ts';
import { loadDirectUrl } from '../src/config/environment.ts';

type Environment = Record<string, string | undefined>;

const masterKeyBytes = Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 89 + 7) % 256));
const masterKey = masterKeyBytes.toString('base64url');
const zeroKey = Buffer.alloc(32).toString('base64url');
const databaseUrl = 'postgresql://keyturn:hunter2@db.internal/keyturn';
const required: Environment = {
  ISSUER: 'https://auth.example.com',
  DATABASE_URL: databaseUrl,
  MASTER_KEYS: masterKey,
  TRUST_PROXY: 'off',
  SMTP_URL: 'smtps://mail.internal',
  MAIL_FROM: 'Keyturn <no-reply@example.com>',
};

const load = (environment: Environment = {}, mode: Mode = 'production'): Promise<Config> =>
  loadConfig(mode, {}, { ...required, UV_THREADPOOL_SIZE: '8', ...environment });

/** The errors of an invalid environment, one per line of the message. */
async function errorsOf(environment: Environment, mode: Mode = 'production'): Promise<string[]> {
  const error = await load(environment, mode).then(
    () => undefined,
    (rejection: unknown) => rejection,
  );
  if (!(error instanceof ConfigError)) throw new Error(`expected a ConfigError: ${String(error)}`);
  const [head, ...errors] = error.message.split('\n');
  expect(head).toBe('The configuration is invalid:');
  return errors.map((line) => line.replace(/^ {2}- /, ''));
}

test('production without a database and keys names the command for development', async () => {
  await expect(loadConfig('production', {}, {})).rejects.toThrow(
    /\nFor development, run npm run dev, which needs no settings\.$/,
  );
  await expect(loadConfig('production', {}, { DATABASE_URL: databaseUrl })).rejects.toThrow(/^[^]+(?<!settings\.)$/);
});

test('the defaults are the documented ones', async () => {
  expect(await load()).toEqual({
    host: '0.0.0.0',
    port: 3000,
    metricsHost: '127.0.0.1',
    metricsPort: 9464,
    issuer: 'https://auth.example.com',
    baseUrl: 'https://auth.example.com',
    audience: ['https://auth.example.com'],
    database: {
      url: databaseUrl,
      directUrl: databaseUrl,
      statementNames: true,
      pooled: false,
      poolMax: 10,
      timeoutSeconds: 5,
    },
    redisUrl: undefined,
    masterKeys: [masterKeyBytes],
    jwtAlg: 'ES256',
    accessTtlSeconds: 900,
    refreshTtlSeconds: 2_592_000,
    sessionTtlSeconds: 2_592_000,
    refreshGracePeriodSeconds: 30,
    signingKeyRotationSeconds: 7_776_000,
    jwksMaxAgeSeconds: 300,
    hashing: { memoryKib: 65_536, iterations: 3, parallelism: 4, concurrency: expect.any(Number), queueMax: 100 },
    passwordMinLength: 8,
    passwordBlocklistFile: undefined,
    hibpUrl: undefined,
    passwordGrant: false,
    registrationOpen: true,
    emailVerification: 'optional',
    unverifiedAccountRetentionSeconds: 2_592_000,
    mail: {
      kind: 'smtp',
      url: 'smtps://mail.internal',
      from: { name: 'Keyturn', address: 'no-reply@example.com' },
    },
    appUrl: 'https://auth.example.com',
    lockout: { attempts: 5, total: 50, durationSeconds: 900 },
    rateLimits: {
      login: { count: 20, windowSeconds: 900 },
      register: { count: 30, windowSeconds: 3600 },
      refresh: { count: 60, windowSeconds: 60 },
      mail: { count: 10, windowSeconds: 900 },
      default: { count: 600, windowSeconds: 60 },
    },
    auditedSettings: expect.objectContaining({ JWT_ALG: '"ES256"', ACCESS_TTL: '900' }),
    auditRetentionSeconds: 34_560_000,
    corsOrigins: [],
    allowsLocalOrigins: false,
    corsAllowedHeaders: [],
    cookieSameSite: 'lax',
    cookiePartitioned: false,
    trustProxy: false,
    logLevel: 'info',
    logPretty: false,
    shutdownDelaySeconds: 0,
    shutdownGraceSeconds: 10,
    warnings: [],
  });
});

test('development requires only DATABASE_URL and MASTER_KEYS', async () => {
  const environment = { DATABASE_URL: databaseUrl, MASTER_KEYS: masterKey, PORT: '4000' };
  const config = await loadConfig('development', {}, environment);
  expect(config).toMatchObject({
    issuer: 'http://localhost:4000',
    trustProxy: false,
    logPretty: true,
    passwordGrant: true,
  });
  expect(config).toMatchObject({
    appUrl: 'http://localhost:4000',
    mail: { kind: 'console', from: { name: 'Keyturn', address: 'keyturn@localhost' } },
  });
});

test('the former name of REFRESH_GRACE_PERIOD is rejected on its own, so that its value is not ignored', async () => {
  const environment = { DATABASE_URL: 'postgresql://db/k', MASTER_KEYS: Buffer.alloc(32, 1).toString('base64url') };
  await expect(loadConfig('development', {}, { ...environment, REFRESH_LEEWAY: '0' })).rejects.toThrow(
    'REFRESH_LEEWAY was renamed: set REFRESH_GRACE_PERIOD',
  );
  const both = { ...environment, REFRESH_LEEWAY: '0', REFRESH_GRACE_PERIOD: '20s' };
  expect((await loadConfig('development', {}, both)).refreshGracePeriodSeconds).toBe(20);
});

describe('warnings of the production configuration', () => {
  test.each([
    [
      'SMTP without TLS to another host',
      { SMTP_URL: 'smtp://mail.internal' },
      /^SMTP_URL allows connections without TLS/,
    ],
    ['SMTP without TLS to an address', { SMTP_URL: 'smtp://10.0.0.5:25' }, /^SMTP_URL allows connections without TLS/],
    [
      'a key that is not random',
      { MASTER_KEYS: Buffer.alloc(32, 'change-me').toString('base64url') },
      /^MASTER_KEYS contains a key/,
    ],
    ['a former key that is not random', { MASTER_KEYS: `${masterKey},${zeroKey}` }, /^MASTER_KEYS contains a key/],
  ])('mention %s', async (_, environment, warning) => {
    expect((await load(environment)).warnings).toEqual([expect.stringMatching(warning)]);
  });

  test.each([
    ['SMTP with TLS from the start', 'smtps://mail.internal'],
    ['SMTP with credentials, which requires STARTTLS', 'smtp://user:secret@mail.internal'],
    ['SMTP on the same machine', 'smtp://localhost:1025'],
    ['SMTP on the same machine by IPv6', 'smtp://[::1]:1025'],
  ])('do not mention %s', async (_, url) => {
    expect((await load({ SMTP_URL: url })).warnings).toEqual([]);
  });

  test('are empty in development', async () => {
    const environment = { DATABASE_URL: databaseUrl, MASTER_KEYS: zeroKey, SMTP_URL: 'smtp://mail.internal' };
    expect((await loadConfig('development', {}, environment)).warnings).toEqual([]);
  });
});

test('an empty value counts as missing', async () => {
  expect(await load({ PORT: '', AUDIENCE: '', HIBP_URL: '', LOG_LEVEL: '' })).toEqual(await load());
  expect(await errorsOf({ ISSUER: '' })).toEqual(['ISSUER is required in production']);
});

test('one message lists all errors and contains no secret', async () => {
  const secret = 'hunter2-canary';
  const errors = await errorsOf({
    ISSUER: undefined,
    TRUST_PROXY: undefined,
    DATABASE_URL: `mysql://root:${secret}@db/keyturn`,
    DATABASE_DIRECT_URL: secret,
    MASTER_KEYS: `${masterKey},${secret}`,
    PORT: '65536',
    JWT_ALG: 'HS256',
    ACCESS_TTL: '2h',
    LOG_LEVEL: 'loud',
    SMTP_URL: `smtp://keyturn:${secret}@mail/inbox`,
  });
  const names =
    'ACCESS_TTL DATABASE_DIRECT_URL DATABASE_URL ISSUER JWT_ALG LOG_LEVEL MASTER_KEYS PORT SMTP_URL TRUST_PROXY';
  expect(errors.map((error) => error.split(' ')[0] ?? '').sort()).toEqual(names.split(' '));
  expect(errors).toEqual(
    expect.arrayContaining(['ISSUER is required in production', 'TRUST_PROXY is required in production']),
  );
  expect(errors.join('\n')).not.toMatch(new RegExp(`${secret}|${masterKey}`));
});

describe('values', () => {
  test.each([
    ['ACCESS_TTL', '1m', { accessTtlSeconds: 60 }],
    ['ACCESS_TTL', '1h', { accessTtlSeconds: 3600 }],
    ['REFRESH_TTL', '12h', { refreshTtlSeconds: 43_200 }],
    ['SESSION_TTL', '365d', { sessionTtlSeconds: 31_536_000 }],
    ['REFRESH_GRACE_PERIOD', '0', { refreshGracePeriodSeconds: 0 }],
    ['SIGNING_KEY_ROTATION', 'off', { signingKeyRotationSeconds: undefined }],
    ['SIGNING_KEY_ROTATION', '30d', { signingKeyRotationSeconds: 2_592_000 }],
    ['AUDIT_RETENTION', 'off', { auditRetentionSeconds: undefined }],
    ['AUDIT_RETENTION', '30d', { auditRetentionSeconds: 2_592_000 }],
    ['UNVERIFIED_ACCOUNT_RETENTION', 'off', { unverifiedAccountRetentionSeconds: undefined }],
    ['UNVERIFIED_ACCOUNT_RETENTION', '1d', { unverifiedAccountRetentionSeconds: 86_400 }],
    ['SHUTDOWN_DELAY', '20s', { shutdownDelaySeconds: 20 }],
    ['SHUTDOWN_GRACE', '90s', { shutdownGraceSeconds: 90 }],
    ['AUDIENCE', 'https://a.example, b', { audience: ['https://a.example', 'b'] }],
    ['TRUST_PROXY', '2', { trustProxy: 2 }],
    ['TRUST_PROXY', '10.0.0.0/8, fd00::/8,127.0.0.1', { trustProxy: ['10.0.0.0/8', 'fd00::/8', '127.0.0.1'] }],
    ['DATABASE_STATEMENT_NAMES', 'off', { database: expect.objectContaining({ statementNames: false }) }],
    ['PASSWORD_GRANT', 'on', { passwordGrant: true }],
    ['REGISTRATION', 'closed', { registrationOpen: false }],
    ['EMAIL_VERIFICATION', 'required', { emailVerification: 'required' }],
    ['APP_URL', 'https://app.example.com/account/', { appUrl: 'https://app.example.com/account' }],
    ['MAIL_FROM', 'no-reply@example.com', { mail: { from: { name: '', address: 'no-reply@example.com' } } }],
    ['MAIL_FROM', "Ada's shop <a@example.com>", { mail: { from: { name: "Ada's shop", address: 'a@example.com' } } }],
    ['SMTP_URL', 'smtp://user:p%40ss@mail:2525', { mail: { kind: 'smtp', url: 'smtp://user:p%40ss@mail:2525' } }],
    ['PORT', '0', { port: 0 }],
    ['METRICS_PORT', '0', { metricsPort: 0 }],
    ['REDIS_URL', 'rediss://:secret@redis.internal:6380/2', { redisUrl: 'rediss://:secret@redis.internal:6380/2' }],
    ['LOCKOUT_ATTEMPTS', '10', { lockout: { attempts: 10, total: 50, durationSeconds: 900 } }],
    [
      'RATE_LIMIT_LOGIN',
      '3/1d',
      { rateLimits: expect.objectContaining({ login: { count: 3, windowSeconds: 86_400 } }) },
    ],
    [
      'CORS_ORIGINS',
      'https://app.example.com, http://localhost:5173,http://[::1]:8080, http://127.0.0.1:3000,http://tauri.localhost',
      {
        corsOrigins: [
          'https://app.example.com',
          'http://localhost:5173',
          'http://[::1]:8080',
          'http://127.0.0.1:3000',
          'http://tauri.localhost',
        ],
      },
    ],
    [
      'CORS_ORIGINS',
      'capacitor://localhost, ionic://localhost,tauri://localhost,chrome-extension://abcdefghijklmnopabcdefghijklmnop,com.example.app://home:80',
      {
        corsOrigins: [
          'capacitor://localhost',
          'ionic://localhost',
          'tauri://localhost',
          'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
          'com.example.app://home:80',
        ],
      },
    ],
    ['CORS_ALLOWED_HEADERS', 'X-Tenant-Id, x_app', { corsAllowedHeaders: ['X-Tenant-Id', 'x_app'] }],
    ['METRICS_HOST', '0.0.0.0', { metricsHost: '0.0.0.0' }],
  ])('%s accepts %s', async (name, value, expected) => {
    expect(await load({ [name]: value })).toMatchObject(expected);
  });

  test.each<[VariableName, string]>([
    ['PORT', '-1|65536|3000.5|0x10|3e3| 1|http'],
    ['ACCESS_TTL', '59s|61m|15|15 m|15M|-1m|1.5h|1h30m'],
    ['REFRESH_GRACE_PERIOD', '61s|2m|-1s|30'],
    ['REFRESH_TTL', '0|401d|forever'],
    ['SIGNING_KEY_ROTATION', '0|on|never|90|OFF|3651d'],
    ['AUDIT_RETENTION', '0|29d|365|never|3651d|1y'],
    ['UNVERIFIED_ACCOUNT_RETENTION', '0|23h|never|3651d'],
    ['DATABASE_TIMEOUT', '0|500ms|6m'],
    [
      'ISSUER',
      'http://a.example|a.example|ftp://a|https://a.example/?q|https://a.example/#f|https://| https://a|https://a ',
    ],
    ['DATABASE_URL', 'mysql://a/b|localhost:5432|http://a'],
    ['MASTER_KEYS', `${masterKey.slice(1)}|${masterKey}=|${masterKey},|${'a'.repeat(43)}|,|${masterKey};${masterKey}`],
    ['MASTER_KEYS', `${zeroKey}|${zeroKey},${masterKey}`],
    ['TRUST_PROXY', '0|on|true|100|10.0.0.0/33|10.0.0/8|proxy.internal|1,2|*'],
    ['AUDIENCE', ',|a,| |a,,b'],
    ['HIBP_URL', 'api.pwnedpasswords.com|file:///etc/passwd'],
    ['PASSWORD_MIN_LENGTH', '7|65'],
    ['JWT_ALG', 'none|HS256|es256'],
    ['COOKIE_SAMESITE', 'Lax|off|strict, lax'],
    ['REDIS_URL', 'localhost:6379|http://a|redis.internal|redis://a/one|redis://a/1/2|redis://a:50%@b'],
    ['PASSWORD_GRANT', 'On|true|1'],
    ['EMAIL_VERIFICATION', 'on|Off|true'],
    ['SMTP_URL', 'mail.internal|http://mail|smtp://|smtp://mail/inbox|smtp://mail?a=b|smtp://mail#a|smtp://a:50%@mail'],
    [
      'MAIL_FROM',
      'ada|ada@|@example.com|<a@example.com|A <a@example.com> b|a@b, c@d|A: <a@b>|A\n<a@b>|a b@c|"A" <a@b>',
    ],
    ['APP_URL', 'http://a.example|a.example|ftp://a|https://a.example/?q|https://a.example/#f|https://u@a.example'],
    ['LOCKOUT_ATTEMPTS', '0|-1|off|1e3'],
    ['LOCKOUT_DURATION', '0|31d'],
    ['RATE_LIMIT_DEFAULT', '0/1m|300|/1m|300/|300/0|300/2d|300/1m/1m|1.5/1m|-1/1m|300 / 1m'],
    [
      'CORS_ORIGINS',
      '*|null|app.example.com|https://app.example.com/|https://APP.example.com|https://a.example:443|ftp://a|https://a.example,|https://*.a.example|capacitor:|capacitor://|capacitor://localhost/|capacitor://*|capacitor://a b|file://localhost|data://a|javascript://a|Capacitor://localhost|//localhost|ionic:localhost',
    ],
    [
      'CORS_ORIGINS',
      'http://app.example.com|https://app.example.com,http://10.0.0.1:8080|http://localhost.example.com',
    ],
    ['CORS_ALLOWED_HEADERS', '*|X-A,|X A|X-A;X-B|é'],
    ['COOKIE_PARTITIONED', 'On|true|1'],
  ])('an invalid %s is reported by name', async (name, values) => {
    for (const value of values.split('|')) {
      const errors = await errorsOf({ [name]: value });
      expect([value, errors.length > 0, errors.filter((error) => !error.startsWith(`${name} must be `))]).toEqual([
        value,
        true,
        [],
      ]);
    }
  });
});

describe('combinations', () => {
  const argon2 = (m: number, t: number, p = 1) => ({
    ARGON2_MEMORY_KIB: `${m}`,
    ARGON2_ITERATIONS: `${t}`,
    ARGON2_PARALLELISM: `${p}`,
  });

  test.each([
    [19_456, 2],
    [47_104, 1],
    [12_288, 3],
    [9216, 4],
    [7168, 5],
    [65_536, 3],
  ])('Argon2 with %i KiB and %i iterations is accepted', async (m, t) => {
    expect((await load(argon2(m, t))).hashing).toMatchObject({ memoryKib: m, iterations: t, parallelism: 1 });
  });

  test.each([
    [19_455, 2],
    [47_103, 1],
    [12_287, 3],
    [8, 100],
    [1_000, 10],
  ])('Argon2 with %i KiB and %i iterations is rejected as too weak', async (m, t) => {
    expect(await errorsOf(argon2(m, t))).toEqual([
      `ARGON2_MEMORY_KIB ${m} with ARGON2_ITERATIONS ${t} is weaker than OWASP's minimum, such as 19456 with 2`,
    ]);
  });

  test.each([
    ['', '?schema=auth'],
    ['?schema=auth', ''],
    ['?schema=auth', '?schema=Auth'],
  ])('DATABASE_URL with "%s" and DATABASE_DIRECT_URL with "%s" have different schemas', async (pooled, direct) => {
    const urls = { DATABASE_URL: databaseUrl + pooled, DATABASE_DIRECT_URL: `postgres://direct/db${direct}` };
    const error = 'DATABASE_URL and DATABASE_DIRECT_URL must have the same schema';
    expect(await errorsOf(urls)).toEqual([error]);
    expect(() => loadDirectUrl(urls)).toThrow(new ConfigError([error]));
  });

  test.each([
    ['', '?schema=public'],
    ['?schema=auth', '?schema=auth&application_name=direct'],
  ])('DATABASE_URL with "%s" and DATABASE_DIRECT_URL with "%s" have the same schema', async (pooled, direct) => {
    const urls = { DATABASE_URL: databaseUrl + pooled, DATABASE_DIRECT_URL: `postgres://direct/db${direct}` };
    expect((await load(urls)).database.directUrl).toBe(urls.DATABASE_DIRECT_URL);
    expect(loadDirectUrl(urls)).toBe(urls.DATABASE_DIRECT_URL);
  });

  test('COOKIE_SAMESITE=none requires an https ISSUER', async () => {
    const settings = { DATABASE_URL: databaseUrl, MASTER_KEYS: masterKey, COOKIE_SAMESITE: 'none' };
    await expect(loadConfig('development', {}, settings)).rejects.toThrow(
      /COOKIE_SAMESITE=none requires an https ISSUER/,
    );
    expect((await load({ COOKIE_SAMESITE: 'none' })).cookieSameSite).toBe('none');
  });

  test('COOKIE_PARTITIONED=on requires COOKIE_SAMESITE=none', async () => {
    expect(await errorsOf({ COOKIE_PARTITIONED: 'on' })).toEqual([
      expect.stringMatching(/^COOKIE_PARTITIONED=on requires COOKIE_SAMESITE=none/),
    ]);
    const both = { COOKIE_PARTITIONED: 'on', COOKIE_SAMESITE: 'none' };
    expect((await load(both)).cookiePartitioned).toBe(true);
  });

  test('development accepts http origins in CORS_ORIGINS', async () => {
    const environment = { DATABASE_URL: databaseUrl, MASTER_KEYS: masterKey, CORS_ORIGINS: 'http://10.0.2.2:5173' };
    const config = await loadConfig('development', {}, environment);
    expect([config.corsOrigins, config.allowsLocalOrigins]).toEqual([['http://10.0.2.2:5173'], true]);
  });

  test('ISSUER and AUDIENCE must leave room in access tokens', async () => {
    const names = (count: number) =>
      Array.from({ length: count }, (_, index) => `https://api-${100 + index}.example`).join();
    expect((await load({ AUDIENCE: names(40) })).audience).toHaveLength(40);
    expect(await errorsOf({ AUDIENCE: names(50) })).toEqual([expect.stringContaining('ISSUER and AUDIENCE must have')]);
  });

  test.each([undefined, 'optional', 'required'])(
    'production with EMAIL_VERIFICATION=%s requires SMTP_URL and MAIL_FROM',
    async (value) => {
      expect(await errorsOf({ EMAIL_VERIFICATION: value, SMTP_URL: undefined })).toEqual([
        'SMTP_URL is required in production. Set EMAIL_VERIFICATION=off to run without email',
      ]);
      expect(await errorsOf({ EMAIL_VERIFICATION: value, MAIL_FROM: undefined })).toEqual([
        'MAIL_FROM is required with SMTP_URL: the sender of the emails',
      ]);
      expect(await errorsOf({ EMAIL_VERIFICATION: value, SMTP_URL: undefined, MAIL_FROM: undefined })).toEqual([
        'SMTP_URL is required in production. Set EMAIL_VERIFICATION=off to run without email',
        'MAIL_FROM is required with SMTP_URL: the sender of the emails',
      ]);
    },
  );

  test('all errors are reported at once, of values and of their combinations', async () => {
    const weak = { ARGON2_MEMORY_KIB: '8', ARGON2_PARALLELISM: '4', COOKIE_PARTITIONED: 'on' };
    expect(await errorsOf({ ...weak, TRUST_PROXY: undefined, HASH_CONCURRENCY: '1000' })).toEqual([
      'TRUST_PROXY is required in production',
      expect.stringContaining("weaker than OWASP's minimum"),
      expect.stringContaining('at least 8 times ARGON2_PARALLELISM'),
      expect.stringContaining('HASH_CONCURRENCY 1000 fills the thread pool'),
      expect.stringContaining('COOKIE_PARTITIONED=on requires COOKIE_SAMESITE=none'),
    ]);
    const invalid = { ...weak, ARGON2_MEMORY_KIB: 'x', ARGON2_PARALLELISM: 'x', COOKIE_SAMESITE: 'x' };
    expect((await errorsOf(invalid)).map((error) => error.split(' ').slice(0, 3).join(' ')).sort()).toEqual([
      'ARGON2_MEMORY_KIB must be',
      'ARGON2_PARALLELISM must be',
      'COOKIE_SAMESITE must be',
    ]);
  });

  test('EMAIL_VERIFICATION=off makes SMTP_URL optional', async () => {
    const settings = { EMAIL_VERIFICATION: 'off', SMTP_URL: undefined, MAIL_FROM: undefined };
    expect((await load(settings)).mail).toBeUndefined();
    expect((await load({ EMAIL_VERIFICATION: 'off' })).mail).toMatchObject({ kind: 'smtp' });
  });

  test('a HASH_CONCURRENCY that fills the thread pool is rejected', async () => {
    expect(await errorsOf({ HASH_CONCURRENCY: '4', UV_THREADPOOL_SIZE: '4' })).toEqual([
      expect.stringMatching(/^HASH_CONCURRENCY 4 fills the thread pool of 4\. /),
    ]);
    expect(await errorsOf({ HASH_CONCURRENCY: '4', UV_THREADPOOL_SIZE: undefined })).toHaveLength(1);
    expect((await load({ HASH_CONCURRENCY: '4', UV_THREADPOOL_SIZE: '8' })).hashing.concurrency).toBe(4);
  });
});

test('migrations require only DATABASE_DIRECT_URL or DATABASE_URL, in that order', () => {
  expect(loadDirectUrl({ DATABASE_URL: databaseUrl, DATABASE_DIRECT_URL: 'postgres://direct/db' })).toBe(
    'postgres://direct/db',
  );
  expect(() => loadDirectUrl({})).toThrow('DATABASE_URL is required');
});
