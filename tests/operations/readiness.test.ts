import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { startApp, type TestApp } from '../harness.ts';
import { createDatabase } from '../support/database.ts';
import { openRows } from '../support/rows/index.ts';
import { until } from '../support/until.ts';
import { startGate } from './gate.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

type Checks = Record<'migrations' | 'signing_key' | 'postgres', string>;
async function readinessOf(app: TestApp): Promise<{ status: number; checks: Checks }> {
  const { status, body } = await app.get('/readyz');
  return { status, checks: (body as { checks: Checks }).checks };
}

const start = async (...options: Parameters<typeof startApp>): Promise<TestApp> => {
  const app = await startApp(options[0], { runsDatabaseMonitor: true, ...options[1] });
  cleanUp.push(() => app.close());
  await until(async () => (await readinessOf(app)).checks.postgres === 'up');
  return app;
};

describe('/readyz', () => {
  test('responds while every connection of the pool waits for a lock, and reports Postgres as up', async () => {
    const app = await start({ DATABASE_POOL_MAX: '1' });
    const { access_token: token } = await app.register();
    const blocker = new pg.Client(app.databaseUrl);
    await blocker.connect();
    await blocker.query('BEGIN');
    await openRows(blocker).server.lockTable('sessions');
    let waiting = 2;
    const requests = [1, 2].map(() => app.get('/me', token).finally(() => (waiting -= 1)));
    await until(async () => (await app.db.server.blockedStatements()) === 1);
    expect(await readinessOf(app)).toMatchObject({ status: 200, checks: { postgres: 'up' } });
    expect(waiting).toBe(2);
    await blocker.end();
    expect((await Promise.all(requests)).map(({ status }) => status)).toEqual([200, 200]);
  });

  test('reports Postgres as down after three seconds without a response, responds meanwhile, and stays 200', async () => {
    const database = await createDatabase();
    cleanUp.push(() => database.drop());
    const gate = await startGate(database.url);
    const app = await start({}, { databaseUrl: gate.url });
    cleanUp.splice(-1, 0, () => gate.close());
    gate.hang();
    const realNow = performance.now.bind(performance);
    cleanUp.push(() => (performance.now = realNow));
    const nowMs = realNow();
    performance.now = () => nowMs + 1900;
    expect(await readinessOf(app)).toMatchObject({ status: 200, checks: { postgres: 'up' } });
    performance.now = () => nowMs + 3000;
    expect(await readinessOf(app)).toMatchObject({ status: 200, checks: { postgres: 'down' } });
    performance.now = realNow;
    gate.open();
    await until(async () => (await readinessOf(app)).checks.postgres === 'up');
  });

  test('reports Postgres as up while a connection that Postgres closed is replaced', async () => {
    const app = await start();
    const pid = () => app.db.server.processIds('keyturn-monitor');
    const before = await pid();
    expect(before).toHaveLength(1);
    await app.db.server.endConnections('keyturn-monitor');
    await until(async () => {
      expect((await readinessOf(app)).checks.postgres).toBe('up');
      const now = await pid();
      return now.length === 1 && now[0] !== before[0];
    });
  });

  test('reports a Postgres that no longer accepts writes as down', async () => {
    const database = await createDatabase();
    cleanUp.push(() => database.drop());
    // A different direct URL: connections through a pooler have the defaults of the database.
    const settings = { DATABASE_DIRECT_URL: `${database.url}?application_name=direct` };
    const app = await start(settings, { databaseUrl: database.url });
    const setDefault = (value: string) =>
      app.sql.query(
        `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = ${value}', current_database()); END $$`,
      );
    await setDefault('on');
    await app.db.server.endConnections('keyturn-monitor');
    await until(async () => (await readinessOf(app)).checks.postgres === 'down');
    expect((await readinessOf(app)).status).toBe(200);
    await setDefault('off');
    await until(async () => (await readinessOf(app)).checks.postgres === 'up');
  });
});

describe('the check of the schema', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  const emailIndex = (uniqueness: string) => `CREATE ${uniqueness} INDEX users_email_key ON users (email)`;
  const foreignKey = (rest: string) =>
    `ALTER TABLE api_keys DROP CONSTRAINT api_keys_user_id_fkey;
     ALTER TABLE api_keys ADD CONSTRAINT api_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)
       ON DELETE CASCADE ON UPDATE CASCADE ${rest}`;

  test.each([
    ['a missing unique index', 'DROP INDEX users_email_key', emailIndex('UNIQUE')],
    [
      'an index that is no longer unique',
      `DROP INDEX users_email_key; ${emailIndex('')}`,
      `DROP INDEX users_email_key; ${emailIndex('UNIQUE')}`,
    ],
    [
      'an invalid index',
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_email_key'::regclass`,
      'REINDEX INDEX users_email_key',
    ],
    [
      'a missing CHECK constraint',
      'ALTER TABLE sessions DROP CONSTRAINT sessions_token_hash_is_sha256',
      'ALTER TABLE sessions ADD CONSTRAINT sessions_token_hash_is_sha256 CHECK (octet_length(token_hash) = 32)',
    ],
    ['a foreign key that is not validated', foreignKey('NOT VALID'), foreignKey('')],
    [
      'a foreign key that is not enforced',
      'ALTER TABLE api_keys DISABLE TRIGGER ALL',
      'ALTER TABLE api_keys ENABLE TRIGGER ALL',
    ],
    [
      'an audit trail that accepts deletions',
      'ALTER TABLE audit_events DISABLE TRIGGER audit_events_append_only',
      'ALTER TABLE audit_events ENABLE TRIGGER audit_events_append_only',
    ],
    [
      'a partition of the audit trail that accepts deletions',
      'ALTER TABLE audit_events_default DISABLE TRIGGER audit_events_append_only',
      'ALTER TABLE audit_events_default ENABLE TRIGGER audit_events_append_only',
    ],
  ])('turns /readyz to 503 for %s, and back to 200 after its repair', async (_, damage, repair) => {
    await app.sql.query(damage);
    expect(await app.checkSchema()).toMatchObject({
      state: 'damaged',
      reason: expect.stringMatching(/^The database lacks/),
    });
    expect(await readinessOf(app)).toMatchObject({ status: 503, checks: { migrations: 'damaged' } });
    expect((await app.get('/healthz')).status).toBe(200);
    await app.sql.query(repair);
    expect(await app.checkSchema()).toBeUndefined();
    expect(await readinessOf(app)).toMatchObject({ status: 200, checks: { migrations: 'applied' } });
  });

  test('turns /readyz to 503 while a restored backup lacks migrations', async () => {
    const { rows } = await app.sql.query('SELECT * FROM _prisma_migrations ORDER BY migration_name DESC LIMIT 1');
    const [{ migration_name: name }] = rows as [{ migration_name: string }];
    await app.db.server.forgetMigration(name);
    const reason = `migrations are not applied: ${name}; run npm run db:migrate`;
    expect(await app.checkSchema()).toEqual({ state: 'pending', reason });
    expect(await readinessOf(app)).toMatchObject({ status: 503, checks: { migrations: 'pending' } });
    await app.sql.query(
      'INSERT INTO _prisma_migrations SELECT * FROM jsonb_populate_record(NULL::_prisma_migrations, $1)',
      [JSON.stringify(rows[0])],
    );
    expect(await app.checkSchema()).toBeUndefined();
    expect((await readinessOf(app)).status).toBe(200);
  });

  test('ignores objects that an operator added, and indexes that no guarantee rests on', async () => {
    await app.sql.query('CREATE INDEX operators_own ON users (created_at); DROP INDEX users_name_prefix_idx');
    expect(await app.checkSchema()).toBeUndefined();
  });

  test('ignores what a newer release has replaced', async () => {
    await app.sql.query(`DROP INDEX users_email_key;
      INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('new', '', '99991231_new', now())`);
    expect(await app.checkSchema()).toBeUndefined();
    await app.sql.query(`DELETE FROM _prisma_migrations WHERE id = 'new'`);
    expect(await app.checkSchema()).toMatchObject({ state: 'damaged' });
  });

  test('no signing key is created while the index that allows only one is missing', async () => {
    await app.sql.query('DROP INDEX signing_keys_one_active');
    await app.db.signingKeys.remove();
    await expect(app.keyring.maintain()).rejects.toThrow(/ON CONFLICT/);
    expect(await app.db.signingKeys.all()).toEqual([]);
  });
});
