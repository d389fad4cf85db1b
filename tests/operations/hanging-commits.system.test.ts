// Commits hang while the synchronous standby is paused. Such a commit ends neither by statement_timeout nor with its connection.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { applyMigrations } from '../../src/platform/migrations.ts';
import type { Account } from '../harness.ts';
import { generationOf, granted } from '../support/refresh-tokens.ts';
import { type ServiceProcess, startService, waitUntilReady } from '../support/service.ts';
import { until } from '../support/until.ts';
import { type ReplicatedPostgres, startReplicatedPostgres } from './standby.ts';

jest.setTimeout(60_000);

const poolMax = 3;
let postgres: ReplicatedPostgres;
let admin: pg.Client;
let service: ServiceProcess;
let accounts: Account[];
beforeAll(async () => {
  postgres = await startReplicatedPostgres();
  await applyMigrations(postgres.primary.url);
  admin = new pg.Client(postgres.primary.url);
  await admin.connect();
  service = await startService({
    DATABASE_URL: postgres.primary.url,
    DATABASE_TIMEOUT: '2s',
    DATABASE_POOL_MAX: String(poolMax),
    MASTER_KEYS: randomBytes(32).toString('base64url'),
    REFRESH_GRACE_PERIOD: '60s',
  });
  await waitUntilReady(service);
  accounts = [];
  while (accounts.length < 9) accounts.push(await service.register());
});
afterAll(async () => {
  await service.kill();
  await admin.end();
  await postgres.stop();
});

/** The connections of a process besides its pool: those that listen, monitor and end processes in Postgres. */
const besidesPool = 3;

interface Backend {
  pid: number;
  application: string;
  waits: boolean;
}

async function backends(): Promise<Backend[]> {
  const { rows } = await admin.query<Backend>(
    `SELECT pid, application_name AS application, wait_event IS NOT DISTINCT FROM 'SyncRep' AS waits FROM pg_stat_activity
     WHERE application_name LIKE 'keyturn%'`,
  );
  return rows;
}

test('a process never has more than DATABASE_POOL_MAX backends while commits hang, and recovers when they end', async () => {
  postgres.pauseStandby();
  let [mostOfPool, most] = [0, 0];
  let isSampling = true;
  const sampling = (async () => {
    for (; isSampling; await sleep(10)) {
      const found = await backends();
      most = Math.max(most, found.length);
      mostOfPool = Math.max(mostOfPool, found.filter(({ application }) => application === 'keyturn').length);
    }
  })();
  // Each round outlasts DATABASE_TIMEOUT, after which a replacement would be opened.
  for (let round = 0; round < 3; round += 1) {
    const responses = await Promise.all(accounts.map(({ refresh_token: token }) => service.refresh(token)));
    // Never 200: a rotation that only this primary has can be undone by a failover.
    expect(responses.map(({ status }) => status)).toEqual(accounts.map(() => 503));
  }
  isSampling = false;
  await sampling;
  expect(mostOfPool).toBe(poolMax);
  expect(most).toBeLessThanOrEqual(poolMax + besidesPool);
  expect((await backends()).filter(({ waits }) => waits)).toHaveLength(poolMax);

  postgres.resumeStandby();
  const generations = await Promise.all(
    accounts.map(async ({ refresh_token: token }) => generationOf(granted(await service.refresh(token)))),
  );
  expect(generations).toEqual(accounts.map(() => 1));
  const warnings = service.lines.filter((line) => line.includes('the database is unavailable'));
  expect(warnings.filter((line) => line.includes('"cause":"no_response"'))).toHaveLength(1);
});

test('a commit whose wait for the standby was canceled is not reported as a success', async () => {
  const { refresh_token: token, session_id: id } = await service.register();
  postgres.pauseStandby();
  const pending = service.refresh(token);
  let waiting: Backend | undefined;
  await until(async () => (waiting = (await backends()).find(({ waits }) => waits)) !== undefined);
  await admin.query('SELECT pg_cancel_backend($1)', [waiting?.pid]);
  expect((await pending).status).toBe(503);
  postgres.resumeStandby();
  expect(generationOf(granted(await service.refresh(token)))).toBe(1);
  expect((await admin.query('SELECT generation FROM sessions WHERE id = $1', [id])).rows).toEqual([{ generation: 1 }]);
});
