// Applies prisma/migrations like `prisma migrate deploy`, which requires a native engine (docs/decisions/0006-built-in-migration-runner.md).
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { StartupError } from '../lib/errors.ts';
import { makeClient } from './postgres/client.ts';
import { directConnection, noTimeouts, parseConnectionUrl } from './postgres/connection.ts';
import { describeConnectionError } from './postgres/connection-errors.ts';
import { findUnmetRequirement } from './postgres/requirements.ts';

const migrationsFolder = new URL('../../prisma/migrations/', import.meta.url);
/** The advisory lock of `prisma migrate`, so that the two never run concurrently. */
const prismaLockKey = 72_707_369;

const connectTimeoutMs = 10_000;

const createTableSql = `
  CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id                  VARCHAR(36)  PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64)  NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ  NOT NULL DEFAULT now(),
    applied_steps_count INTEGER      NOT NULL DEFAULT 0
  )`;

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

interface AppliedMigration {
  migration_name: string;
  checksum: string;
  finished: boolean;
}

/** The names of the migrations of this release, in order. */
export async function knownMigrations(directory: URL | string = migrationsFolder): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory());
  return folders.map((folder) => folder.name).sort();
}

/** The names of the migrations that a database has, also those of a newer release. */
export async function appliedMigrations(query: <T>(sql: string) => Promise<T[]>): Promise<ReadonlySet<string>> {
  const [table] = await query<{ exists: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS "exists"`);
  if (!table?.exists) return new Set();
  const finished = await query<{ migration_name: string }>(
    'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  );
  return new Set(finished.map((row) => row.migration_name));
}

/** The migrations that a database lacks. Migrations of a newer release in the database are ignored. */
export async function pendingMigrations(
  query: <T>(sql: string) => Promise<T[]>,
  directory: URL | string = migrationsFolder,
): Promise<string[]> {
  const applied = await appliedMigrations(query);
  return (await knownMigrations(directory)).filter((name) => !applied.has(name));
}

/** Applies the pending migrations and returns their names. Safe to run in several processes concurrently. @throws StartupError */
export async function applyMigrations(
  databaseUrl: string,
  directory: URL | string = migrationsFolder,
): Promise<string[]> {
  const folder = typeof directory === 'string' ? directory : fileURLToPath(directory);
  const names = await knownMigrations(folder);
  const migrations = await Promise.all(names.map((name) => readMigration(folder, name)));
  const { schema } = parseConnectionUrl(databaseUrl);
  const connection = { ...directConnection(databaseUrl, noTimeouts), connectionTimeoutMillis: connectTimeoutMs };
  const client = makeClient(connection);
  client.on('error', () => {}); // the statement that is running fails as well
  try {
    await client.connect().catch((cause: unknown) => {
      throw new Error(describeConnectionError(cause, databaseUrl).sentence, { cause });
    });
    await prepareDatabase(client, schema, names[0]);
    const applied: string[] = [];
    let name: string | undefined;
    while ((name = await inTransaction(client, () => applyNext(client, migrations)))) applied.push(name);
    return applied;
  } catch (cause) {
    throw new StartupError((cause as Error).message, { cause });
  } finally {
    void client.end().catch(() => {}); // not awaited: it never resolves after a rejected client certificate
  }
}

/** Checks what migrations cannot change, and creates the schema of `DATABASE_URL` if it is missing. */
async function prepareDatabase(client: pg.Client, schema: string, firstMigration: string | undefined): Promise<void> {
  const query = async <Row>(text: string, values: unknown[] = []) => (await client.query(text, values)).rows as Row[];
  const name = pg.escapeIdentifier(schema);
  const [found] = await query<{ role: string; canCreate: boolean }>(
    `SELECT quote_ident(current_user) AS role, has_schema_privilege(oid, 'CREATE') AS "canCreate"
     FROM pg_namespace WHERE nspname = $1`,
    [schema],
  );
  if (!found) {
    if (await isInPublic(client, firstMigration))
      throw new Error(
        `The data is in the schema public: remove ?schema=… from the URL to keep using it, ` +
          `or create the schema first (CREATE SCHEMA ${name}) to begin a new installation.`,
      );
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${name}`);
  }
  if (found?.canCreate === false)
    throw new Error(
      `The role ${found.role} cannot create tables in the schema ${name}. ` +
        `Run GRANT USAGE, CREATE ON SCHEMA ${name} TO ${found.role} as the owner of the database.`,
    );
  const unmet = await findUnmetRequirement(query, schema);
  if (unmet !== undefined) throw new Error(unmet);
  // Postgres 17 added it. A default of the role must not end a long migration.
  await client.query(`SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'`);
}

/** Whether `public` contains an installation. Earlier releases ignored the schema of the URL and created their tables there. */
async function isInPublic(client: pg.Client, firstMigration: string | undefined): Promise<boolean> {
  const { rows } = await client.query<{ isReadable: boolean }>(
    `SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS "isReadable"
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relname = '_prisma_migrations'`,
  );
  if (rows[0]?.isReadable !== true) return false; // a table that the role cannot read belongs to another service
  const { rowCount } = await client.query(
    'SELECT FROM public._prisma_migrations WHERE migration_name = $1 AND rolled_back_at IS NULL',
    [firstMigration],
  );
  return rowCount !== 0;
}

async function readMigration(folder: string, name: string): Promise<Migration> {
  const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
  return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
}

async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED'); // sees what other processes committed while this one waited for the lock
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {}); // a lost connection has already rolled back
    throw error;
  }
}

async function applyNext(client: pg.Client, migrations: Migration[]): Promise<string | undefined> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [prismaLockKey]);
  await client.query(createTableSql);
  const { rows } = await client.query<AppliedMigration>(
    'SELECT migration_name, checksum, finished_at IS NOT NULL AS finished FROM _prisma_migrations WHERE rolled_back_at IS NULL',
  );
  requireFinished(rows);
  const checksums = new Map(rows.map((row) => [row.migration_name, row.checksum]));
  requireUnchanged(migrations, checksums);
  const next = migrations.find((migration) => !checksums.has(migration.name));
  if (next) await apply(client, next);
  return next?.name;
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query(sql).catch((cause: Error) => {
    throw new Error(`Migration ${name} failed and was rolled back: ${cause.message}`, { cause });
  });
  await client.query(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
     VALUES (gen_random_uuid(), $1, $2, now(), clock_timestamp(), 1)`,
    [checksum, name],
  );
}

function requireFinished(rows: AppliedMigration[]): void {
  const failed = rows.find((row) => !row.finished)?.migration_name;
  if (failed === undefined) return;
  throw new Error(
    `Migration ${failed} was started by another tool and not finished. Undo its changes in the database, then run ` +
      `UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = '${failed}' and try again.`,
  );
}

function requireUnchanged(migrations: Migration[], applied: Map<string, string>): void {
  const edited = migrations.find(({ name, checksum }) => (applied.get(name) ?? checksum) !== checksum);
  if (!edited) return;
  throw new Error(
    `Migration ${edited.name} was edited after it was applied to this database. ` +
      `Restore its migration.sql and put the change into a new migration.`,
  );
}
