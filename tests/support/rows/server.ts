// Postgres itself: its catalog, its connections, its locks.
import { quoted, type Sql } from './sql.ts';

export const serverRows = (sql: Sql) => {
  /** The plan of a statement, one line per step. */
  const explain = async (text: string, values: readonly unknown[] = []): Promise<string> =>
    (await sql.rows<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, values)).map((row) => row['QUERY PLAN']).join('\n');
  return {
    /** Names of the service's tables. */
    tables: async (): Promise<string[]> =>
      (
        await sql.rows<{ name: string }>(
          `SELECT table_name AS name FROM information_schema.tables
         WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`,
        )
      ).map(({ name }) => name),
    /** Every row of a table as text, to search for secrets. */
    textOf: async (table: string): Promise<string[]> =>
      (await sql.rows<{ line: string }>(`SELECT t::text AS line FROM ${quoted(table)} AS t`)).map(({ line }) => line),
    /** Number of statements on this database that wait for a lock. */
    blockedStatements: async (): Promise<number> =>
      (await sql.rows(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`))
        .length,
    /** Number of connections to this database with that application name; of those that run a statement like `query`. */
    connections: async (applicationName: string, query = '%'): Promise<number> =>
      (
        await sql.rows(
          `SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = $1 AND query LIKE $2`,
          [applicationName, query],
        )
      ).length,
    /** The processes of the connections to this database with that application name. */
    pids: async (applicationName: string): Promise<number[]> =>
      (
        await sql.rows<{ pid: number }>(
          'SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1',
          [applicationName],
        )
      ).map(({ pid }) => pid),
    /** Creates a role that can log in and has no other rights. */
    createRole: (name: string, password: string) =>
      sql.run(`CREATE ROLE ${quoted(name)} LOGIN PASSWORD '${password.replaceAll("'", "''")}'`),
    dropRole: (name: string) => sql.run(`DROP ROLE ${quoted(name)}`),
    /** Runs a documented statement of an operator. */
    run: (statement: string) => sql.run(statement),
    /** The file of a table or an index, which changes when Postgres rewrites it. */
    fileOf: async (relation: string): Promise<number> =>
      (await sql.one<{ file: number }>('SELECT pg_relation_filenode($1::regclass) AS file', [relation])).file,
    createDatabase: (name: string) => sql.run(`CREATE DATABASE ${quoted(name)}`),
    /** The connections to a database: whether they use TLS, and a client certificate. */
    tlsConnections: (database: string) =>
      sql.rows<{ name: string; encrypted: boolean; client: boolean }>(
        `SELECT application_name AS name, ssl AS encrypted, client_dn IS NOT NULL AS client
         FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = $1`,
        [database],
      ),
    /** Number of sequential scans of a table since the server started. */
    scansOf: async (table: string): Promise<number> =>
      Number((await sql.one<{ scans: string }>('SELECT pg_stat_get_numscans($1::regclass) AS scans', [table])).scans),
    /** The plan of a statement when the server avoids sequential scans. Changes the setting of the connection. */
    explainWithIndexes: async (text: string, values: readonly unknown[] = []): Promise<string> => {
      await sql.run('SET enable_seqscan = off');
      return explain(text, values);
    },
    explain,
    /** Makes a migration pending again, as an older release left the database. */
    forgetMigration: (nameEnd: string) =>
      sql.run(`DELETE FROM _prisma_migrations WHERE migration_name LIKE '%' || $1`, [nameEnd]),
    /** Creates a table that the migrations collide with. */
    createTable: (table: string) => sql.run(`CREATE TABLE ${quoted(table)} (id int)`),
    /** Removes every table and every row: an empty database. */
    empty: () => sql.run('DROP SCHEMA public CASCADE; CREATE SCHEMA public'),
    /** Blocks all access to a table until the transaction of the connection ends. */
    lockTable: (table: string) => sql.run(`LOCK TABLE ${quoted(table)} IN ACCESS EXCLUSIVE MODE`),
  };
};
