import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { findRedis } from './redis-binary.ts';
import { startRedis } from './redis-server.ts';

type Undo = () => Promise<void>;

declare global {
  var undoGlobalSetup: Undo | undefined;
}

export default async function globalSetup(): Promise<void> {
  const undos: Undo[] = [];
  globalThis.undoGlobalSetup = async () => {
    await Promise.all(undos.map((undo) => undo()));
  };
  const outcomes = await Promise.allSettled([preparePostgres(undos), prepareRedis(undos)]);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (!failed) return;
  await globalThis.undoGlobalSetup(); // jest skips the teardown when the setup fails
  throw failed.reason;
}

/** Starts one Postgres per run of jest, or uses TEST_DATABASE_URL. Creates a migrated template for the tests to copy. */
async function preparePostgres(undos: Undo[]): Promise<void> {
  const externalUrl = process.env['TEST_DATABASE_URL'];
  const server = externalUrl ? undefined : await startThrowAway();
  const adminUrl = externalUrl ?? server?.url ?? '';
  const template = `keyturn_template_${process.pid}`;
  const admin = async (sql: string) => {
    const client = new pg.Client(adminUrl);
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  undos.push(() => (server ? server.stop() : admin(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`)));

  await admin(`CREATE DATABASE ${template}`);
  const templateUrl = new URL(adminUrl);
  templateUrl.pathname = template;
  await applyMigrations(templateUrl.href);
  process.env['TEST_ADMIN_URL'] = adminUrl;
  process.env['TEST_TEMPLATE'] = template;
}

const startThrowAway = async () =>
  startEmbeddedPostgres({
    directory: await mkdtemp(join(tmpdir(), 'keyturn-tests-')),
    durable: false,
    settings: { max_connections: '300' },
  });

/**
 * Starts one Redis per run of jest, or uses REDIS_URL. If no Redis is available, only the tests that need one fail, with the
 * reason. Publishes the URL as TEST_REDIS_URL, so that a service uses Redis only if the test passes REDIS_URL to it.
 */
async function prepareRedis(undos: Undo[]): Promise<void> {
  delete process.env['TEST_REDIS_ERROR']; // set by the previous run if jest watches files
  const externalUrl = process.env['REDIS_URL'];
  if (externalUrl) process.env['TEST_REDIS_URL'] = externalUrl;
  try {
    if (externalUrl) return void (await findRedis()); // takes longer than the timeout of a test that starts its own Redis
    const server = await startRedis();
    undos.push(() => server.stop());
    process.env['TEST_REDIS_URL'] = server.url;
  } catch (error) {
    process.env['TEST_REDIS_ERROR'] = error instanceof Error ? error.message : String(error);
  }
}
