import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { purgeSessions } from '../../src/core/sessions/purge-sessions.sql.ts';
import { type Database } from '../../src/platform/postgres.ts';
import type { SqlFragment } from '../../src/platform/sql.ts';
import { startApp, type TestApp } from '../harness.ts';
import { startForTest } from './processes.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const count = async (condition: string, ...values: unknown[]) =>
  Number((await app.sql.query(`SELECT count(*) FROM sessions WHERE ${condition}`, values)).rows[0].count);

test('a process that starts removes what ended for good a week ago, in batches, and nothing else', async () => {
  const { user, session_id: live } = await app.register();
  /** Sessions of one kind, told apart by their user agent. */
  const add = async (rows: number, absolute: string, idle: string, revoked = 'NULL') => {
    const agent = randomUUID();
    await app.sql.query(
      `INSERT INTO sessions (id, user_id, absolute_expires_at, auth_time, client_id, user_agent, ip, expires_at, token_hash,
                             turned_from, turned_at, turn_salts, revoked_at, revoked_reason)
       SELECT gen_random_uuid(), $1, ${absolute}, now() - interval '40 days', 'first-party', $2, '127.0.0.1', ${idle},
              sha256('x'), '', '{}', '{}', ${revoked}, CASE WHEN ${revoked} IS NULL THEN NULL ELSE 'logout' END
       FROM generate_series(1, $3)`,
      [user.id, agent, rows],
    );
    return agent;
  };
  const ago = (days: number) => `now() - interval '${days} days'`;
  const ahead = `now() + interval '1 day'`;
  const gone = [await add(1200, ago(8), ago(8)), await add(700, ahead, ahead, ago(8))];
  const kept = [await add(1, ago(6), ago(6)), await add(1, ahead, ahead, ago(6)), await add(1, ahead, ago(20))];

  await startForTest({
    DATABASE_URL: app.databaseUrl,
    MASTER_KEYS: app.config.masterKeys[0]?.toString('base64url') ?? '',
  });
  for (let tries = 0; tries < 200 && (await count('user_agent = ANY($1)', gone)) > 0; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));

  expect(await count('user_agent = ANY($1)', gone)).toBe(0);
  expect(await count('user_agent = ANY($1)', kept)).toBe(3);
  expect(await count('id = $1', live)).toBe(1);
});

test('it finds them by an index, however many sessions live', async () => {
  const statements: SqlFragment[] = [];
  const listener = {
    $executeRaw(statement: SqlFragment) {
      statements.push(statement);
      return Promise.resolve(0);
    },
  };
  await purgeSessions(listener as unknown as Database, 500);
  const client = await app.sql.connect();
  await client.query('SET enable_seqscan = off');
  const plans = [];
  for (const { text, values } of statements) {
    const { rows } = await client.query<Record<string, string>>(`EXPLAIN ${text}`, values);
    plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
  }
  client.release(true);
  expect(plans).toEqual([
    expect.stringContaining('Index Cond: (absolute_expires_at <'),
    expect.stringContaining('Index Cond: (revoked_at <'),
  ]);
});
