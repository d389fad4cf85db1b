import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { published } from './published.ts';

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/** An empty database with every migration applied, on the server that global-setup.ts started. */
export async function createDatabase(): Promise<TestDatabase> {
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(`CREATE DATABASE ${name} TEMPLATE ${published('TEST_TEMPLATE')}`);
  const url = new URL(published('TEST_ADMIN_URL'));
  url.pathname = name;
  return { url: url.href, drop: () => asAdmin(`DROP DATABASE ${name} WITH (FORCE)`) };
}

async function asAdmin(sql: string): Promise<void> {
  const admin = new pg.Client(published('TEST_ADMIN_URL'));
  await admin.connect();
  await admin.query(sql).finally(() => admin.end());
}
