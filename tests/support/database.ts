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

export interface NewDatabase {
  /** The rest of CREATE DATABASE, such as `TEMPLATE template0 LOCALE 'C'`. Default: a copy of the migrated template. */
  created?: string;
  /** Settings of every session of the database, as ALTER DATABASE … SET writes their values. */
  settings?: Readonly<Record<string, string>>;
}

/** Creates a database on the server that global-setup.ts started: empty and migrated, unless `created` says otherwise. */
export async function createDatabase({ created, settings = {} }: NewDatabase = {}): Promise<TestDatabase> {
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(`CREATE DATABASE ${name} ${created ?? `TEMPLATE ${published('TEST_TEMPLATE')}`}`);
  for (const [setting, value] of Object.entries(settings))
    await asAdmin(`ALTER DATABASE ${name} SET ${setting} = ${value}`);
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
