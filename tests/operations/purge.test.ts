import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { purgeSessions } from '../../src/core/sessions/purge-sessions.sql.ts';
import { type Database } from '../../src/platform/postgres.ts';
import type { SqlFragment } from '../../src/platform/sql.ts';
import { startApp, type TestApp } from '../harness.ts';
import { openRows } from '../support/rows/index.ts';
import type { SessionTimes } from '../support/rows/sessions.ts';
import { startForTest } from './processes.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

test('a starting process removes only sessions that ended more than a week ago', async () => {
  const { user, session_id: current } = await app.register();
  /** Adds sessions and returns the user agent that marks them. */
  const add = async (rows: number, times: SessionTimes) => {
    const userAgent = randomUUID();
    await app.db.sessions.insert(user.id, rows, userAgent, times);
    return userAgent;
  };
  const day = 24 * 3600;
  const live = { expiresIn: day, absolutelyExpiresIn: day };
  const expired = (days: number) => ({ expiresIn: -days * day, absolutelyExpiresIn: -days * day });
  const removed = [await add(1200, expired(8)), await add(700, { ...live, revokedAgo: 8 * day })];
  const kept = [
    await add(1, expired(6)),
    await add(1, { ...live, revokedAgo: 6 * day }),
    await add(1, { ...live, expiresIn: -20 * day }),
  ];
  const count = (userAgents: string[]) => app.db.count('sessions', { user_agent: userAgents });

  await startForTest({
    DATABASE_URL: app.databaseUrl,
    MASTER_KEYS: app.config.masterKeys[0]?.toString('base64url') ?? '',
  });
  for (let tries = 0; tries < 200 && (await count(removed)) > 0; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));

  expect(await count(removed)).toBe(0);
  expect(await count(kept)).toBe(3);
  expect(await app.db.count('sessions', { id: current })).toBe(1);
});

test('the purge uses an index', async () => {
  const statements: SqlFragment[] = [];
  const listener = {
    $executeRaw(statement: SqlFragment) {
      statements.push(statement);
      return Promise.resolve(0);
    },
  };
  await purgeSessions(listener as unknown as Database, 500);
  const client = await app.sql.connect();
  const { server } = openRows(client);
  const plans = [];
  for (const { text, values } of statements) plans.push(await server.explainWithIndexes(text, values));
  client.release(true);
  expect(plans).toEqual([
    expect.stringContaining('Index Cond: (absolute_expires_at <'),
    expect.stringContaining('Index Cond: (revoked_at <'),
  ]);
});
