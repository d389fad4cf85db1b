import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/platform/embedded-postgres.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';

declare global {
  var undoGlobalSetup: (() => Promise<void>) | undefined;
}

/** One Postgres for a run of jest, or the one that TEST_DATABASE_URL names, with a migrated template to copy. */
export default async function globalSetup(): Promise<void> {
  const given = process.env['TEST_DATABASE_URL'];
  const server = given ? undefined : await startThrowAway();
  const adminUrl = given ?? server?.url ?? '';
  const template = `keyturn_template_${process.pid}`;
  const admin = async (sql: string) => {
    const client = new pg.Client(adminUrl);
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  globalThis.undoGlobalSetup = () =>
    server ? server.stop() : admin(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);

  try {
    await admin(`CREATE DATABASE ${template}`);
    const templateUrl = new URL(adminUrl);
    templateUrl.pathname = template;
    await applyMigrations(templateUrl.href);
  } catch (error) {
    await globalThis.undoGlobalSetup(); // jest skips the teardown when the setup fails
    throw error;
  }
  process.env['TEST_ADMIN_URL'] = adminUrl;
  process.env['TEST_TEMPLATE'] = template;
}

const startThrowAway = async () =>
  startEmbeddedPostgres({
    directory: await mkdtemp(join(tmpdir(), 'keyturn-tests-')),
    durable: false,
    settings: { max_connections: '300' },
  });
