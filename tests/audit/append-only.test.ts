import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApp, type TestApp } from '../harness.ts';
import { addEvent, monthAt, partitionOf, partitionsOf } from './trail.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  await app.register();
  await addEvent(app.sql, monthAt(1));
  await addEvent(app.sql, monthAt(9)); // a month without a partition
});
afterAll(() => app.close());

const wholeTrail = async () => (await app.sql.query('SELECT * FROM audit_events ORDER BY id')).rows;

const tables = ['audit_events', 'audit_events_default', ...[0, 1, 2].map((month) => partitionOf(monthAt(month)))];

test('the tests cover every table of the trail', async () => {
  expect(['audit_events', ...(await partitionsOf(app.sql))].sort()).toEqual([...tables].sort());
});

test.each(
  tables.flatMap((table) =>
    [
      `UPDATE ${table} SET outcome = 'failure'`,
      `UPDATE ${table} SET outcome = outcome WHERE false`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table}`,
      `INSERT INTO ${table} SELECT * FROM ${table} ON CONFLICT (id) DO UPDATE SET type = 'x'`,
    ].map((statement) => [statement]),
  ),
)('%s fails even for the owner of the table', async (statement) => {
  const before = await wholeTrail();
  expect(before.length).toBeGreaterThanOrEqual(3);
  await expect(app.sql.query(statement)).rejects.toMatchObject({ code: '42501' });
  expect(await wholeTrail()).toEqual(before);
});

test('events cannot be moved to another table', async () => {
  const statement = `WITH moved AS (DELETE FROM audit_events RETURNING *) SELECT * FROM moved`;
  await expect(app.sql.query(statement)).rejects.toMatchObject({ code: '42501' });
});
