import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { published } from './published.ts';
import { openRows, type Rows } from './rows/index.ts';

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
  /** Reads or changes rows over a new connection. */
  use<Result>(work: (db: Rows) => Promise<Result>): Promise<Result>;
}

/** Creates an empty, migrated database on the server that global-setup.ts started. */
export async function createDatabase(): Promise<TestDatabase> {
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(`CREATE DATABASE ${name} TEMPLATE ${published('TEST_TEMPLATE')}`);
  const url = new URL(published('TEST_ADMIN_URL'));
  url.pathname = name;
  return {
    url: url.href,
    drop: () => asAdmin(`DROP DATABASE ${name} WITH (FORCE)`),
    use: (work) => useDatabase(url.href, work),
  };
}

/** Reads or changes rows of any Postgres database over a new connection. */
export async function useDatabase<Result>(url: string, work: (db: Rows) => Promise<Result>): Promise<Result> {
  const client = new pg.Client(url);
  await client.connect();
  return work(openRows(client)).finally(() => client.end());
}

async function asAdmin(sql: string): Promise<void> {
  const admin = new pg.Client(published('TEST_ADMIN_URL'));
  await admin.connect();
  await admin.query(sql).finally(() => admin.end());
}
