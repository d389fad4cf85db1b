import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { knownMigrations } from '../../src/platform/migrations.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { runCli } from '../support/run-cli.ts';
import { productionSettings, waitUntilReady } from '../support/service.ts';
import { run, startForTest } from './processes.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const migrate = () => run(process.execPath, ['bin/keyturn.cjs', 'cli', 'migrate'], { DATABASE_URL: database.url });

test('three concurrent first starts create one active and one next signing key', async () => {
  const settings = { DATABASE_URL: database.url, MASTER_KEYS: randomBytes(32).toString('base64url') };
  const services = await Promise.all([1, 2, 3].map(() => startForTest(settings)));
  await Promise.all(services.map(waitUntilReady));
  const sets = await Promise.all(services.map(({ get }) => get('/.well-known/jwks.json')));
  const [first] = sets.map(({ text }) => text);
  expect(sets.map(({ text }) => text)).toEqual([first, first, first]);
  expect(JSON.parse(first ?? '').keys).toHaveLength(2);
  const keys = await database.use((db) => db.signingKeys.all());
  expect(keys.map(({ status }) => status).sort()).toEqual(['active', 'next']);

  const [one, two, three] = services;
  const account = await one?.register();
  expect((await two?.get('/me', account?.access_token))?.status).toBe(200);
  expect((await three?.refresh(account?.refresh_token ?? ''))?.status).toBe(200);
}, 30_000);

describe('migrate', () => {
  beforeEach(() => database.use((db) => db.server.empty()));

  test('applies each migration once when three processes run it concurrently', async () => {
    const runs = await Promise.all([1, 2, 3].map(migrate));
    expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual(runs.map(() => [0, '']));
    const applied = runs
      .flatMap(({ stdout }) => stdout.trimEnd().split('\n'))
      .filter((line) => line !== 'nothing to apply');
    expect(applied.sort()).toEqual((await knownMigrations()).map((name) => `applied ${name}`));
  }, 30_000);

  test('prints the applied migrations, and nothing to do the second time', async () => {
    const npm = () => run('npm', ['run', '--silent', 'db:migrate'], { DATABASE_URL: database.url });
    const names = await knownMigrations();
    expect(await npm()).toMatchObject({ code: 0, stdout: `${names.map((name) => `applied ${name}`).join('\n')}\n` });
    expect(await npm()).toMatchObject({ code: 0, stdout: 'nothing to apply\n' });
  }, 30_000);

  test('fails with one sentence, without a stack or a password', async () => {
    await database.use((db) => db.server.createTable('users'));
    const { code, stdout, stderr } = await migrate();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Error: Migration \d+_init failed and was rolled back: relation "users" already exists\n$/);
    const nowhere = new URL(database.url);
    nowhere.port = '1';
    const down = await run(process.execPath, ['bin/keyturn.cjs', 'cli', 'migrate'], { DATABASE_URL: nowhere.href });
    expect([down.code, down.stdout]).toEqual([1, '']);
    expect(down.stderr).toMatch(/^[^\n]*ECONNREFUSED[^\n]*\n$/);
    expect(down.stderr).not.toContain(nowhere.password);
  }, 30_000);
});

test('migrate fails with one sentence if something that the migrations created is missing', async () => {
  await database.use((db) => db.server.run('DROP INDEX users_email_key'));
  const { code, stdout, stderr } = await migrate();
  expect([code, stdout]).toEqual([1, 'nothing to apply\n']);
  expect(stderr).toMatch(
    /^Error: The database lacks the unique index users_email_key of users\. .*restore it again.*\n$/,
  );
});

test.each(['127.0.0.1', '0.0.0.0'])(
  'startup fails with one sentence if the port is in use on %s',
  async (host) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const settings = { ...productionSettings(), DATABASE_URL: database.url, HOST: host, PORT: String(port) };
    const { code, stdout, stderr } = await run(process.execPath, ['bin/keyturn.cjs', 'main'], settings);
    other.close();
    expect([code, stdout, stderr]).toEqual([
      1,
      '',
      `Error: Port ${port} is in use. Stop the other program, or set PORT.\n`,
    ]);
  },
  20_000,
);

test.each([
  [['keys', 'list'], 'There are no signing keys.'],
  [['emails', 'list'], 'No emails are waiting'],
  [['users', 'create-admin', 'ada@example.com'], 'Created the administrator ada@example.com.'],
  [['audit', 'export', '--until', '2020-01-01T00:00:00Z'], ''],
  [['openapi'], 'openapi: 3.1.0'],
])('the process of %j ends with 0', async (args, output) => {
  const settings = { ...productionSettings(), DATABASE_URL: database.url };
  const { code, stdout } = await run(process.execPath, ['bin/keyturn.cjs', 'cli', ...args], settings);
  expect([code, stdout.slice(0, output.length)]).toEqual([0, output]);
});

test('an unknown command prints the usage', async () => {
  for (const args of [[], ['fly'], ['toString'], ['migrate', 'now'], ['migrate', '-x']]) {
    const { code, stderr } = await runCli({}, ...args);
    expect([code, stderr.split('\n')[0]]).toEqual([2, 'Usage: npm run cli -- <command>']);
  }
  const { code, stderr } = await run(process.execPath, ['bin/keyturn.cjs', 'cli', 'fly'], {});
  expect([code, stderr.split('\n')[0]]).toEqual([2, 'Usage: npm run cli -- <command>']);
});
