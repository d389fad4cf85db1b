import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { applyMigrations, knownMigrations, pendingMigrations } from '../../src/platform/migrations.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let folder: string;
let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-migrations-'));
  database = await createDatabase();
  client = new pg.Client(database.url);
  await client.connect();
  await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
});
afterEach(async () => {
  await client.end();
  await database.drop();
  await rm(folder, { recursive: true });
});

async function write(name: string, sql: string) {
  await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, name, 'migration.sql'), sql);
}

const rows = async (sql: string) => (await client.query(sql)).rows;
const recorded = () => rows('SELECT migration_name AS name FROM _prisma_migrations ORDER BY migration_name');
const pending = () => pendingMigrations(rows, folder);

test('migrations are applied once in order and recorded like Prisma does', async () => {
  await write('2_fill', 'INSERT INTO doors VALUES (1); INSERT INTO doors VALUES (2);');
  await write('1_doors', 'CREATE TABLE doors (id int);');
  await writeFile(join(folder, 'migration_lock.toml'), 'provider = "postgresql"\n');

  expect(await knownMigrations(folder)).toEqual(['1_doors', '2_fill']);
  expect(await pending()).toEqual(['1_doors', '2_fill']);
  expect(await applyMigrations(database.url, folder)).toEqual(['1_doors', '2_fill']);
  expect(await applyMigrations(database.url, folder)).toEqual([]);
  expect(await pending()).toEqual([]);
  expect(await rows('SELECT id FROM doors ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);

  const checksum = createHash('sha256').update('CREATE TABLE doors (id int);').digest('hex');
  const [row] = await rows(`SELECT * FROM _prisma_migrations WHERE migration_name = '1_doors'`);
  expect(row).toEqual({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    checksum,
    migration_name: '1_doors',
    started_at: expect.any(Date),
    finished_at: expect.any(Date),
    rolled_back_at: null,
    logs: null,
    applied_steps_count: 1,
  });
});

test('three concurrent processes apply each migration once', async () => {
  const names = ['1_a', '2_b', '3_c', '4_d'];
  for (const name of names) await write(name, `SELECT pg_sleep(0.02); CREATE TABLE "${name}" ();`);

  const applied = await Promise.all([1, 2, 3].map(() => applyMigrations(database.url, folder)));

  expect(applied.flat().sort()).toEqual(names);
  expect(await recorded()).toEqual(names.map((name) => ({ name })));
});

test('an edited migration is rejected, and no later one is applied', async () => {
  await write('1_doors', 'CREATE TABLE doors (id int);');
  await applyMigrations(database.url, folder);
  await write('1_doors', 'CREATE TABLE doors (id bigint);');
  await write('2_keys', 'CREATE TABLE keys (id int);');

  await expect(applyMigrations(database.url, folder)).rejects.toThrow(
    'Migration 1_doors was edited after it was applied to this database. Restore',
  );
  expect(await pending()).toEqual(['2_keys']);
});

test('a failed migration is rolled back, earlier ones stay, and it is applied when fixed', async () => {
  await write('1_doors', 'CREATE TABLE doors (id int);');
  await write('2_keys', 'CREATE TABLE keys (id int); CREATE TABLE doors (id int);');

  await expect(applyMigrations(database.url, folder)).rejects.toThrow(
    'Migration 2_keys failed and was rolled back: relation "doors" already exists',
  );
  expect(await recorded()).toEqual([{ name: '1_doors' }]);
  expect(await rows(`SELECT to_regclass('keys') AS "table"`)).toEqual([{ table: null }]);

  await write('2_keys', 'CREATE TABLE keys (id int);');
  expect(await applyMigrations(database.url, folder)).toEqual(['2_keys']);
});

test('an unfinished migration of another tool is rejected until the operator rolls it back', async () => {
  await write('1_doors', 'CREATE TABLE doors (id int);');
  await applyMigrations(database.url, folder);
  await client.query('UPDATE _prisma_migrations SET finished_at = NULL; DROP TABLE doors');

  const refusal = await applyMigrations(database.url, folder).catch((error: Error) => error.message);
  expect(refusal).toContain('Migration 1_doors was started by another tool and not finished');
  expect(await pending()).toEqual(['1_doors']);

  const advice = /run (UPDATE .*) and try again/.exec(String(refusal))?.[1];
  await client.query(String(advice));
  expect(await applyMigrations(database.url, folder)).toEqual(['1_doors']);
});

test('newer migrations in the database are ignored', async () => {
  await write('1_doors', 'CREATE TABLE doors (id int);');
  await write('2_next_release', 'CREATE TABLE windows (id int);');
  await applyMigrations(database.url, folder);
  await rm(join(folder, '2_next_release'), { recursive: true });

  expect(await applyMigrations(database.url, folder)).toEqual([]);
  expect(await pending()).toEqual([]);
});
