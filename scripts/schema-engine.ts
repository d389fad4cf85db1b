// Prisma's real schema engine (its WASM build): no native binary, works offline.
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';

export const NOTHING_PENDING = '-- This is an empty migration.';

/** Returns the SQL from the migrations to the schema; NOTHING_PENDING if they agree. Requires a server, not a database. */
export async function pendingSql(serverUrl: string, schemaPath: string, migrationsFolder: string): Promise<string> {
  const from = { tag: 'migrations' as const, ...(await readMigrations(migrationsFolder)) };
  const file = { path: schemaPath, content: await readFile(schemaPath, 'utf8') };
  const to = { tag: 'schemaDatamodel' as const, files: [file] };
  const { SchemaEngine } = await (loading ??= loadEngine());
  const connections = new MigrationPg(serverUrl);
  try {
    const adapter = bindMigrationAwareSqlAdapterFactory(connections);
    const engine = await SchemaEngine.new({ datamodels: [[file.path, file.content]] }, () => {}, adapter);
    const filters = { externalTables: [], externalEnums: [] };
    const { stdout } = await engine.diff({ from, to, script: true, exitCode: null, filters });
    return stdout?.trim() ?? '';
  } finally {
    await connections.close();
  }
}

async function readMigrations(baseDir: string) {
  const entries = await readdir(baseDir, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory());
  const names = folders.map((folder) => folder.name).sort();
  const read = async (name: string) => {
    const value = await readFile(join(baseDir, name, 'migration.sql'), 'utf8');
    return { path: name, migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value } } };
  };
  const lockfile = {
    path: 'migration_lock.toml',
    content: await readFile(join(baseDir, 'migration_lock.toml'), 'utf8'),
  };
  return { baseDir, lockfile, shadowDbInitScript: '', migrationDirectories: await Promise.all(names.map(read)) };
}

type Call = (...args: unknown[]) => unknown;
type Glue = Record<string, Call> & { SchemaEngine: typeof SchemaEngine };

// One instance per process, because the glue module stores it in module state.
let loading: Promise<Glue> | undefined;

async function loadEngine(): Promise<Glue> {
  const path = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const glue: Glue = await import(path);
  const wasm = await readFile(join(dirname(path), 'schema_engine_bg.wasm'));
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: (m: string) => console.error(m) } });
  const { instance } = await webAssembly.instantiate(wasm, { './schema_engine_bg.js': withUnreferencedTimers(glue) });
  glue['__wbg_set_wasm']?.(instance.exports);
  instance.exports['__wbindgen_start']?.();
  return glue;
}

// @types/node does not declare it
const { WebAssembly: webAssembly } = globalThis as unknown as {
  WebAssembly: {
    instantiate(wasm: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, Call> } }>;
  };
};

/** The engine never clears its lock timeout of 10 s, which would keep the process running. */
function withUnreferencedTimers(glue: Glue): Record<string, unknown> {
  const unreffed =
    (setTimer: Call): Call =>
    (...args) => {
      const timer = setTimer(...args);
      return timer instanceof Object && 'unref' in timer ? (timer as NodeJS.Timeout).unref() : timer;
    };
  const entries = Object.entries<Call>(glue);
  return Object.fromEntries(entries.map(([name, fn]) => [name, name.includes('setTimeout') ? unreffed(fn) : fn]));
}

/** An adapter factory that closes its connections, because an open session keeps the engine's migration lock. */
class MigrationPg implements SqlMigrationAwareDriverAdapterFactory {
  readonly provider = 'postgres';
  readonly adapterName = '@prisma/adapter-pg';
  readonly #config: pg.PoolConfig;
  readonly #open = new Set<SqlDriverAdapter>();

  constructor(url: string) {
    this.#config = parseIntoClientConfig(url); // not connectionString, which overrides `database`
  }

  connect() {
    return this.#connect(this.#config);
  }

  async #connect(config: pg.PoolConfig) {
    const adapter = await connectForMigrations(config);
    this.#open.add(adapter);
    return adapter;
  }

  async connectToShadowDb() {
    const admin = await this.connect();
    const database = `prisma_migrate_shadow_db_${randomUUID()}`;
    await admin.executeScript(`CREATE DATABASE "${database}"`);
    const shadow = await this.#connect({ ...this.#config, database });
    const dispose = shadow.dispose.bind(shadow);
    shadow.dispose = async () => {
      if (!this.#open.delete(shadow)) return; // the engine also closes it after a success
      await dispose();
      await admin.executeScript(`DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`);
    };
    return shadow;
  }

  async close() {
    for (const adapter of [...this.#open].reverse()) await adapter.dispose(); // the shadow before its admin connection
  }
}

const CHAR_OID = 18;
const TEXT_OID = 25;

/** Works around missing features of the adapter (7.10) for migrations. */
async function connectForMigrations(config: pg.PoolConfig): Promise<SqlDriverAdapter> {
  let charColumns: number[] = [];
  const pool = new pg.Pool({ ...config, max: 1 });
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<pg.QueryResult>;
  const queryWithoutChar = async (...args: unknown[]) => {
    const result = await query(...args);
    // The catalogs' one-byte "char" type is unknown to the adapter (prisma/orm#27403); the engine wants Character.
    const fields = result.fields ?? []; // a script of several statements has none
    charColumns = fields.flatMap((field, i) => (field.dataTypeID === CHAR_OID ? [i] : []));
    for (const field of fields) if (field.dataTypeID === CHAR_OID) field.dataTypeID = TEXT_OID;
    return result;
  };
  pool.query = queryWithoutChar as pg.Pool['query'];

  const adapter = await new PrismaPg(pool, { disposeExternalPool: true }).connect();
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (sql) => {
    const result = await queryRaw(sql);
    for (const i of charColumns) result.columnTypes[i] = ColumnTypeEnum.Character;
    return result;
  };
  // The adapter splits at every ';', also in $$-quoted bodies. A simple query is one implicit transaction.
  adapter.executeScript = async (script) => {
    await query(script).catch((e: pg.DatabaseError) => {
      const { code = '', severity = 'ERROR', message, detail, column, hint } = e;
      throw new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint });
    });
  };
  return adapter;
}
