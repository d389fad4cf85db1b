import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NOTHING_PENDING, pendingSql } from '../scripts/schema-engine.ts';
import { intactObjects } from '../src/platform/postgres/schema-check.ts';
import { schemaObjects } from '../src/platform/postgres/schema-objects.ts';
import { startApp, type TestApp } from './harness.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const rows = async <Row>(sql: string, ...values: unknown[]): Promise<Row[]> =>
  (await app.sql.query(sql, values)).rows as Row[];

test('the migrations create the schema of prisma/schema.prisma', async () => {
  expect(await pendingSql(app.databaseUrl, 'prisma/schema.prisma', 'prisma/migrations')).toBe(NOTHING_PENDING);
}, 30_000);

test('schema-objects.ts lists what the migrations create: npm run schema-objects', async () => {
  expect(await intactObjects(rows)).toEqual(schemaObjects);
});

describe('the audit trail', () => {
  test.each([
    `UPDATE audit_events SET outcome = 'failure'`,
    'UPDATE audit_events SET outcome = outcome WHERE false',
    'DELETE FROM audit_events',
    'TRUNCATE audit_events',
    `INSERT INTO audit_events SELECT * FROM audit_events ON CONFLICT (id) DO UPDATE SET type = 'x'`,
  ])('rejects %s, even from the owner of the table', async (statement) => {
    await app.register();
    const before = await rows('SELECT * FROM audit_events ORDER BY id');
    expect(before.length).toBeGreaterThan(0);
    await expect(app.sql.query(statement)).rejects.toMatchObject({
      code: '42501',
      message: expect.stringContaining('append-only'),
    });
    expect(await rows('SELECT * FROM audit_events ORDER BY id')).toEqual(before);
  });

  test('keeps the events of a deleted account without their personal data', async () => {
    const { user, access_token: token } = await app.register();
    const personal = () => rows('SELECT 1 FROM audit_personal_data WHERE user_id = $1', user.id);
    expect(await personal()).toHaveLength(1);
    const body = { current_password: 'correct horse battery staple' };
    expect((await app.post('/me/delete', body, token)).status).toBe(204);
    const events = await rows<{ type: string }>(
      'SELECT type FROM audit_events WHERE user_id = $1 ORDER BY id',
      user.id,
    );
    expect(events.map(({ type }) => type)).toEqual(['account.registered', 'account.deleted']);
    expect(await personal()).toEqual([]);
  });
});

test('a rotation changes no indexed column, so that it is a HOT update', async () => {
  const { refresh_token: token, session_id: id } = await app.register();
  const session = async () => {
    const [row] = await rows<{ row: Record<string, unknown> }>(
      'SELECT to_jsonb(s) AS row FROM sessions AS s WHERE id = $1',
      id,
    );
    return row?.row ?? {};
  };
  const before = await session();
  expect((await app.refresh(token)).status).toBe(200);
  const after = await session();
  const changed = Object.keys(after).filter(
    (column) => JSON.stringify(after[column]) !== JSON.stringify(before[column]),
  );
  expect(changed.sort()).toEqual(
    ['expires_at', 'generation', 'token_hash', 'turn_salts', 'turned_at', 'turned_from'].filter((c) =>
      changed.includes(c),
    ),
  );
  expect(changed).toEqual(
    expect.arrayContaining(['expires_at', 'generation', 'token_hash', 'turned_at', 'turn_salts']),
  );

  // The columns of each index, including those of its expressions and predicate.
  const covered = await rows<{ index: string; column: string }>(`
    SELECT DISTINCT i.indexrelid::regclass::text AS index, a.attname AS column
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid
    WHERE i.indrelid = 'sessions'::regclass AND (a.attnum = ANY (i.indkey) OR EXISTS (
      SELECT FROM pg_depend AS d WHERE d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))`);
  expect(covered.map(({ column }) => column)).toEqual(expect.arrayContaining(['id', 'user_id', 'absolute_expires_at']));
  expect(covered.filter(({ column }) => [...changed, 'turned_from'].includes(column))).toEqual([]);
});

test('pages of the table sessions keep room for HOT updates', async () => {
  const [table] = await rows<{ options: string[] }>(
    `SELECT reloptions AS options FROM pg_class WHERE relname = 'sessions'`,
  );
  expect(table?.options).toEqual(['fillfactor=80']);
});

test('ended sessions do not slow down logins, revocations and session lists', async () => {
  const account = await app.register();
  await app.sql.query(
    `INSERT INTO sessions (id, user_id, absolute_expires_at, auth_time, client_id, ip, expires_at, token_hash, turned_from,
                           turned_at, turn_salts, revoked_at, revoked_reason)
     SELECT gen_random_uuid(), $1, now() + interval '1 day', now(), 'first-party', '', now() + interval '1 day', sha256('x'),
            '', '{}', '{}', now(), 'logout' FROM generate_series(1, 20000)`,
    [account.user.id],
  );
  await app.sql.query('VACUUM ANALYZE sessions');
  const read = async () => {
    const [row] = await rows<{ read: string }>(
      `SELECT pg_stat_get_tuples_returned(c.oid) + pg_stat_get_tuples_fetched(c.oid) + (
                SELECT sum(pg_stat_get_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = c.oid) AS read
       FROM pg_class AS c WHERE relname = 'sessions'`,
    );
    return Number(row?.read);
  };
  const statisticsReported = () => new Promise((resolve) => setTimeout(resolve, 1200)); // once a second per backend
  await statisticsReported();
  const before = await read();
  expect((await app.login(account.email)).status).toBe(200);
  expect((await app.get('/sessions', account.access_token)).body.sessions).toHaveLength(2);
  expect((await app.post('/logout/all', undefined, account.access_token)).status).toBe(204);
  await statisticsReported();
  expect((await read()) - before).toBeLessThan(200);
});
