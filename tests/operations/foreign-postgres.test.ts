// Databases whose defaults, locale or schema differ from those of the other tests.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { loadConfig } from '../../src/config.ts';
import { applyMigrations, knownMigrations } from '../../src/platform/migrations.ts';
import { type DatabaseFacts, describeUnmetRequirement } from '../../src/platform/postgres/requirements.ts';
import { startService } from '../../src/service.ts';
import { startApp, type TestApp } from '../harness.ts';
import { createDatabase, type NewDatabase, type TestDatabase, useDatabase } from '../support/database.ts';
import { published } from '../support/published.ts';
import { granted } from '../support/refresh-tokens.ts';
import { runCli } from '../support/run-cli.ts';
import { productionSettings } from '../support/service.ts';

jest.setTimeout(60_000);

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function newDatabase(options: NewDatabase): Promise<TestDatabase> {
  const database = await createDatabase(options);
  cleanUp.push(() => database.drop());
  return database;
}

async function startOn(databaseUrl: string): Promise<TestApp> {
  const app = await startApp({}, { databaseUrl });
  cleanUp.push(() => app.close());
  return app;
}

const withParameter = (url: string, name: string, value: string): string => {
  const changed = new URL(url);
  changed.searchParams.set(name, value);
  return changed.href;
};

/** Starts the service on two URLs of the same database: the first one counts as that of a pooler. */
async function start({ url }: TestDatabase, schema = 'public') {
  const direct = withParameter(url, 'schema', schema);
  const environment = {
    ...productionSettings(),
    DATABASE_URL: withParameter(direct, 'application_name', 'pooled'),
    DATABASE_DIRECT_URL: direct,
    MASTER_KEYS: randomBytes(32).toString('base64url'),
    LOG_LEVEL: 'silent',
  };
  const config = await loadConfig('production', {}, { UV_THREADPOOL_SIZE: '16', ...environment });
  try {
    const service = await startService(config);
    cleanUp.push(() => service.stop(AbortSignal.abort()));
    await service.ready;
    return 'ready';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Defaults that each break the service if it relies on them. */
const hostileSettings = {
  timezone: `'America/New_York'`,
  datestyle: `'German'`,
  intervalstyle: `'sql_standard'`,
  bytea_output: `'escape'`,
  extra_float_digits: '-15',
  array_nulls: 'off',
  standard_conforming_strings: 'off',
  default_transaction_isolation: `'serializable'`,
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  search_path: `'pg_catalog'`,
  statement_timeout: '1',
  lock_timeout: '1',
  idle_in_transaction_session_timeout: '1',
  idle_session_timeout: '100',
};

describe('settings of the database', () => {
  test.each(['America/New_York', 'Asia/Kolkata', 'Pacific/Apia'])(
    'times are right with the time zone %s',
    async (zone) => {
      const app = await startOn((await newDatabase({ settings: { timezone: `'${zone}'` } })).url);
      const account = await app.register();
      const isNow = (time: string) => Math.abs(Date.parse(time) - Date.now()) < 60_000;
      expect(isNow(String(account.user['created_at']))).toBe(true);

      const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
      const key = await app.apiKeyOf(account, ['profile'], { expires_at: expiresAt });
      const me = await app.call('get', '/me', { headers: { 'x-api-key': key.client_secret } });
      expect([
        me.status,
        isNow((await app.get('/api-keys', await app.tokenOf(account, 'api-keys'))).body.api_keys[0].created_at),
      ]).toEqual([200, true]);
      const { rows } = await app.sql.query<{ expires_at: Date }>('SELECT expires_at FROM api_keys');
      expect(rows.map((row) => row.expires_at.toISOString())).toEqual([expiresAt]);

      const { body } = await app.get('/sessions', account.access_token);
      const [session] = body.sessions as { created_at: string; last_used_at: string; expires_at: string }[];
      expect([isNow(session?.created_at ?? ''), isNow(session?.last_used_at ?? '')]).toEqual([true, true]);
      const days = (Date.parse(session?.expires_at ?? '') - Date.now()) / 86_400_000;
      expect(Math.round(days * 100) / 100).toBe(30);
    },
  );

  test('the service and its migrations work with defaults that none of them can use', async () => {
    const database = await newDatabase({ created: 'TEMPLATE template0', settings: hostileSettings });
    expect(await applyMigrations(database.url)).toEqual(await knownMigrations());
    expect(await applyMigrations(database.url)).toEqual([]);

    const app = await startOn(database.url);
    const account = await app.register();
    expect((await app.login(account.email)).status).toBe(200);
    const key = await app.apiKeyOf(account, ['profile']);
    expect((await app.get('/api-keys', await app.tokenOf(account, 'api-keys'))).body.api_keys).toEqual([
      expect.objectContaining({ id: key.id }),
    ]);
    const refreshes = await Promise.all(Array.from({ length: 10 }, () => app.refresh(account.refresh_token)));
    expect(refreshes.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(new Set(refreshes.map(granted)).size).toBe(1);

    const exported = await runCli({ DATABASE_URL: database.url }, 'audit', 'export');
    expect([exported.code, exported.stderr]).toEqual([0, expect.stringMatching(/^\d+ events\.\n$/)]);
    const [first] = exported.stdout.split('\n');
    const occurredAt = Date.parse((JSON.parse(first ?? '') as { occurred_at: string }).occurred_at);
    expect(Math.abs(occurredAt - Date.now())).toBeLessThan(60_000);
  });

  test('racing refreshes never return 503 with the isolation level repeatable read', async () => {
    const settings = { default_transaction_isolation: `'repeatable read'` };
    const app = await startOn((await newDatabase({ settings })).url);
    let { refresh_token: token } = await app.register();
    for (let round = 0; round < 3; round += 1) {
      const spent = token;
      const responses = await Promise.all(Array.from({ length: 10 }, () => app.refresh(spent)));
      expect(responses.map(({ status }) => status)).toEqual(Array(10).fill(200));
      token = responses.map(granted)[0] ?? '';
    }
  });
});

describe('locale of the database', () => {
  const icu = (locale: string) =>
    `TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE '${locale}'`;

  test.each([
    ['C', `TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER libc`],
    ['tr-TR', icu('tr-TR')],
    ['sv-SE', icu('sv-SE')],
  ])('a search finds the same accounts with %s', async (_locale, created) => {
    const database = await newDatabase({ created });
    await applyMigrations(database.url);
    const app = await startOn(database.url);
    const admin = await app.admin();
    await app.db.users.insert('info@example.com', 'Kundendienst');
    await app.db.users.insert('e1@example.com', 'Élodie');
    await app.db.users.insert('e2@example.com', 'ÉLOÏSE');
    await app.db.users.insert('i1@example.com', 'Ivan INGENIEUR');
    await app.db.users.insert('o1@example.com', 'Östen');
    const find = async (query: string): Promise<string[]> => {
      const { status, body } = await app.get(`/admin/users?query=${encodeURIComponent(query)}`, admin.token);
      expect(status).toBe(200);
      return (body.users as { email: string }[]).map(({ email }) => email);
    };
    expect(await find('INFO')).toEqual(['info@example.com']);
    expect(await find('INFO@EXAMPLE')).toEqual(['info@example.com']);
    expect(await find('élo')).toEqual(['e1@example.com', 'e2@example.com']);
    expect(await find('ÉLO')).toEqual(['e1@example.com', 'e2@example.com']);
    expect(await find('ivan ing')).toEqual(['i1@example.com']);
    expect(await find('IVAN ING')).toEqual(['i1@example.com']);
    expect(await find('östen')).toEqual(['o1@example.com']);

    for (const role of ['z-b', 'za', 'İ', 'ı']) {
      await app.db.roles.define(role, [`${role}:read`]);
      await app.db.roles.grant(admin, role);
    }
    const { body } = await app.get(`/admin/users/${admin.user.id}`, admin.token);
    expect(body.roles).toEqual(['admin', 'user', 'z-b', 'za', 'İ', 'ı']);
  });

  test('the migration uses an index of folded names that was created beforehand, as documented', async () => {
    const name = '20261201090000_fold_names';
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-before-folding-'));
    cleanUp.push(() => rm(folder, { recursive: true }));
    for (const entry of await readdir('prisma/migrations'))
      if (entry < name) await cp(join('prisma/migrations', entry), join(folder, entry), { recursive: true });
    const database = await newDatabase({ created: 'TEMPLATE template0' });
    await applyMigrations(database.url, folder);
    const [documented = ''] = /CREATE FUNCTION fold_name[^`]+/.exec(readFileSync('docs/operating.md', 'utf8')) ?? [];
    const [createFunction = '', createIndex = ''] = documented.split(/;\n/);
    await database.use((db) => db.server.run(createFunction));
    await database.use((db) => db.server.run(createIndex));
    const fileOf = () => database.use((db) => db.server.fileOf('users_folded_name_idx'));
    const before = await fileOf();
    expect(await applyMigrations(database.url)).toContain(name);
    expect(await fileOf()).toBe(before);
  });

  test.each(['SQL_ASCII', 'LATIN1'])('every start refuses the encoding %s with one sentence', async (encoding) => {
    const database = await newDatabase({
      created: `TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C' LOCALE_PROVIDER libc`,
    });
    const sentence = new RegExp(`The database t_\\w+ has the encoding ${encoding}, but names need UTF8\\. Create .*`);
    for (const command of [['migrate'], ['keys', 'list']]) {
      const { code, stdout, stderr } = await runCli({ DATABASE_URL: database.url }, ...command);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(new RegExp(`^Error: ${sentence.source}\\n$`));
    }
    expect(await start(database)).toMatch(new RegExp(`^${sentence.source}$`));
  });
});

describe('schema in DATABASE_URL', () => {
  test.each(['auth', 'Odd \\ schéma'])('holds every table of the service: %s', async (schema) => {
    const database = await newDatabase({ created: 'TEMPLATE template0' });
    const url = withParameter(database.url, 'schema', schema);
    const migrated = await runCli({ DATABASE_URL: url }, 'migrate');
    expect([migrated.code, migrated.stderr]).toEqual([0, '']);
    expect((await runCli({ DATABASE_URL: url }, 'migrate')).stdout).toBe('nothing to apply\n');
    const schemas = async () =>
      database.use(async (db) => {
        const rows = await db.select<{ schemaname: string }>('pg_tables');
        return new Set(rows.map(({ schemaname }) => schemaname).filter((name) => !/^(pg_|information_)/.test(name)));
      });
    expect(await schemas()).toEqual(new Set([schema]));

    const app = await startOn(url);
    const account = await app.register();
    expect((await app.login(account.email)).status).toBe(200);
    expect((await app.refresh(account.refresh_token)).status).toBe(200);
    const listed = await runCli({ DATABASE_URL: url }, 'keys', 'list');
    expect([listed.code, listed.stdout.includes('ES256')]).toEqual([0, true]);
    expect(await schemas()).toEqual(new Set([schema]));
  });

  test('that does not exist is not created beside an installation in public', async () => {
    const database = await newDatabase({});
    const url = withParameter(database.url, 'schema', 'auth');
    expect(await runCli({ DATABASE_URL: url }, 'migrate')).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'Error: The data is in the schema public: remove ?schema=… from the URL to keep using it, ' +
        'or create the schema first (CREATE SCHEMA "auth") to begin a new installation.\n',
    });
    const found = await database.use((db) => db.select('pg_namespace', { nspname: 'auth' }));
    expect(found).toEqual([]);
  });

  test('is created beside the tables of another service in public', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-another-service-'));
    cleanUp.push(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, '20200101000000_init'));
    await writeFile(join(folder, '20200101000000_init', 'migration.sql'), 'CREATE TABLE products (id int)');
    const { url } = await newDatabase({ created: 'TEMPLATE template0' });
    await applyMigrations(url, folder);
    expect(await applyMigrations(withParameter(url, 'schema', 'auth'))).toEqual(await knownMigrations());
  });

  test('separates two installations in one database', async () => {
    const { url } = await newDatabase({});
    const other = withParameter(url, 'schema', 'staging');
    await expect(applyMigrations(other)).rejects.toThrow('The data is in the schema public');
    await useDatabase(url, (db) => db.server.run('CREATE SCHEMA staging'));
    await applyMigrations(other);
    const [app, staging] = [await startOn(url), await startOn(other)];
    const account = await app.register();
    expect((await staging.login(account.email)).status).toBe(401);
    expect((await app.login(account.email)).status).toBe(200);
  });
});

describe('a pooler, which passes no settings on', () => {
  test('stops the start with one sentence that names the settings of the role', async () => {
    const noTimeouts = { statement_timeout: '0', lock_timeout: '0', idle_in_transaction_session_timeout: '0' };
    const database = await newDatabase({ settings: { ...hostileSettings, ...noTimeouts } });
    expect(await start(database)).toBe(
      'Sessions of the role postgres need other settings, which the service cannot set because a pooler removes them. Run ' +
        `ALTER ROLE postgres SET timezone = 'UTC'; ALTER ROLE postgres SET datestyle = 'ISO'; ` +
        'ALTER ROLE postgres SET standard_conforming_strings = on; ' +
        `ALTER ROLE postgres SET default_transaction_isolation = 'read committed'; ` +
        'ALTER ROLE postgres SET default_transaction_read_only = off; ' +
        'ALTER ROLE postgres SET search_path = "public"; and reconnect the pooler.',
    );
  });

  test('lets the service start with the documented settings of the role', async () => {
    const documented = readFileSync('docs/operating.md', 'utf8').matchAll(/^ALTER ROLE keyturn SET (\w+) = (.+);$/gm);
    const role = Object.fromEntries(Array.from(documented, ([, name = '', value = '']) => [name, value]));
    const { timezone, datestyle, default_transaction_isolation: isolation, search_path: path } = hostileSettings;
    const database = await newDatabase({
      settings: { timezone, datestyle, default_transaction_isolation: isolation, search_path: path, ...role },
    });
    expect(Object.keys(role)).toContain('statement_timeout');
    expect(await start(database)).toBe('ready');
  });

  test('lets the service start if the defaults are right', async () => {
    expect(await start(await newDatabase({ settings: { timezone: `'Etc/UTC'`, datestyle: `'ISO, DMY'` } }))).toBe(
      'ready',
    );
  });

  test('stops the start if triggers are disabled, because the audit trail relies on one', async () => {
    const database = await newDatabase({ settings: { session_replication_role: 'replica' } });
    expect(await start(database)).toContain('ALTER ROLE postgres SET session_replication_role = origin;');
  });

  test('stops the start if another schema is used', async () => {
    const database = await newDatabase({ created: 'TEMPLATE template0' });
    await applyMigrations(withParameter(database.url, 'schema', 'auth'));
    expect(await start(database, 'auth')).toContain('ALTER ROLE postgres SET search_path = "auth";');
  });
});

test('migrations name the right that the role lacks', async () => {
  const database = await newDatabase({ created: 'TEMPLATE template0' });
  const url = new URL(database.url);
  [url.username, url.password] = [`role_${process.pid}`, 'a password'];
  await database.use((db) => db.server.createRole(url.username, 'a password'));
  cleanUp.unshift(() => useDatabase(published('TEST_ADMIN_URL'), (db) => db.server.dropRole(url.username)));
  const { code, stderr } = await runCli({ DATABASE_URL: url.href }, 'migrate');
  expect([code, stderr]).toEqual([
    1,
    `Error: The role ${url.username} cannot create tables in the schema "public". ` +
      `Run GRANT USAGE, CREATE ON SCHEMA "public" TO ${url.username} as the owner of the database.\n`,
  ]);
});

test('Postgres 13 is refused with one sentence', () => {
  const facts: DatabaseFacts = {
    version: 130_022,
    database: 'keyturn',
    role: 'keyturn',
    encoding: 'UTF8',
    schema: 'public',
    timeZone: 'UTC',
    dateStyle: 'ISO, MDY',
    clientEncoding: 'UTF8',
    conformingStrings: 'on',
    isolation: 'read committed',
    readOnly: 'off',
    replicationRole: 'origin',
  };
  expect(describeUnmetRequirement(facts, 'public')).toBe('Postgres 13 is too old. Use Postgres 14 or later.');
  expect(describeUnmetRequirement({ ...facts, version: 140_000 }, 'public')).toBeUndefined();
  for (const timeZone of ['Europe/London', 'Africa/Abidjan', 'localtime', 'Etc/GMT+1'])
    expect(describeUnmetRequirement({ ...facts, version: 140_000, timeZone }, 'public')).toContain(
      `SET timezone = 'UTC'`,
    );
});
