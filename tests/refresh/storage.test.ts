// Invariants 10 and 11: the contents of the database and the log, and the size of the table.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { applyMigrations } from '../../src/platform/migrations.ts';
import { startApp } from '../harness.ts';
import { bytesOf, generationOf, granted, rejectionReason, secretOf, refreshTimes } from '../support/refresh-tokens.ts';
import { startWorkers, type Workers } from '../support/workers.ts';

const masterKey = randomBytes(32);
let workers: Workers;
beforeAll(async () => {
  workers = await startWorkers({ settings: { MASTER_KEYS: masterKey.toString('base64url'), LOG_LEVEL: 'trace' } });
}, 30_000);
afterAll(() => workers.close());

/** Every row of every table as text, bytea as hex. */
async function dump(sql: pg.Pool): Promise<string> {
  const { rows: tables } = await sql.query<{ name: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
     WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
  );
  const texts = tables.map(async ({ name }) => {
    const { rows } = await sql.query<{ line: string }>(`SELECT row(t.*)::text AS line FROM ${name} AS t`);
    return [name, ...rows.map(({ line }) => line)].join('\n');
  });
  return (await Promise.all(texts)).join('\n');
}

/** The encodings of bytes in a text: raw, hex, base64 and base64url at each of three offsets. */
function encodings(bytes: Buffer): string[] {
  const hex = bytes.toString('hex');
  const base64 = [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
      .slice(offset + 1, -1);
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [hex, hex.toUpperCase(), bytes.toString('latin1'), bytes.toString('utf8'), ...base64];
}

const found = (bytes: Buffer, text: string): string[] => encodings(bytes).filter((encoding) => text.includes(encoding));

/** Creates sessions in every state, and returns all their tokens. */
async function useTheService() {
  const refreshTokens: string[] = [];
  const accessTokens: string[] = [];
  const { first, second, db } = workers;
  const account = await first.register();
  const login = await second.login(account.email);
  const [live, loggedOut, reused] = [account.refresh_token, granted(login), granted(await first.login(account.email))];
  accessTokens.push(account.access_token, (login.body as { access_token: string }).access_token);
  for (const token of [live, loggedOut, reused]) refreshTokens.push(...(await refreshTimes(second, token, 8)));
  granted(await second.refresh(refreshTokens[7] ?? ''));
  await first.post('/logout', { refresh_token: loggedOut });
  await db.sessions.age(100, account);
  const stolen = await first.register();
  refreshTokens.push(...(await refreshTimes(first, stolen.refresh_token, 2)));
  await db.sessions.age(100, stolen);
  expect(rejectionReason(await second.refresh(stolen.refresh_token))).toBe('reused');
  rejectionReason(await second.refresh(`${live}x`));
  return { refreshTokens, accessTokens, live: refreshTokens[8] ?? '' };
}

test('neither a dump of every table nor the log contains anything that a live token can be derived from (invariant 10)', async () => {
  const { refreshTokens, accessTokens, live } = await useTheService();
  const database = await dump(workers.sql);
  const log = [...workers.first.lines, ...workers.second.lines].join('\n');

  // The search works: the dump contains the hash of the live secret.
  const hash = createHash('sha256').update(secretOf(live)).digest();
  expect(found(hash, database)).not.toEqual([]);
  expect(found(secretOf(live), JSON.stringify({ token: live }))).not.toEqual([]);
  expect(found(secretOf(live), live)).not.toEqual([]);
  expect(log).toContain('/refresh');

  expect(new Set(refreshTokens).size).toBe(30);
  for (const text of [database, log]) {
    for (const token of refreshTokens) {
      expect(text).not.toContain(token.slice(4));
      expect([...found(secretOf(token), text), ...found(bytesOf(token).subarray(52), text)]).toEqual([]);
    }
    for (const token of accessTokens) expect(text).not.toContain(token.split('.')[2]);
    expect(found(masterKey, text)).toEqual([]);
  }
});

const measure = async (sql: pg.Pool) =>
  (
    await sql.query<{ rows: number; table: number; indexes: number }>(
      `SELECT (SELECT count(*) FROM sessions)::int AS rows, pg_relation_size('sessions')::int AS table,
              pg_indexes_size('sessions')::int AS indexes`,
    )
  ).rows[0];

test('200 rotations leave one row and the same table and index sizes, and at least 98% are HOT updates (invariant 11)', async () => {
  // Any transaction elsewhere on a server delays the pruning of old row versions. So this test has one of its own.
  const server = await startEmbeddedPostgres({
    directory: await mkdtemp(join(tmpdir(), 'keyturn-storage-')),
    durable: false,
    settings: { autovacuum: 'off' },
  });
  await applyMigrations(server.url);
  const sql = new pg.Pool({ connectionString: server.url, max: 1 });
  sql.on('error', () => {}); // Postgres may end the connection before the pool has.
  // Without a grace period, rotations are not limited.
  const app = await startApp({ REFRESH_GRACE_PERIOD: '0' }, { databaseUrl: server.url });
  try {
    const { refresh_token: token } = await app.register();
    const [, , latest = ''] = await refreshTimes(app, token, 2);
    const before = await measure(sql);
    expect(before).toMatchObject({ rows: 1, table: 8192 });
    const last = (await refreshTimes(app, latest, 200)).at(-1) ?? '';
    expect(generationOf(last)).toBe(202);
    expect(await measure(sql)).toEqual(before);
  } finally {
    await app.close(); // Connections report their statistics when they end.
  }
  try {
    const { updates, hot } = await statistics(sql, 202);
    expect(updates).toBe(202);
    expect(hot / updates).toBeGreaterThanOrEqual(0.98);
  } finally {
    await sql.end();
    await server.stop();
  }
}, 60_000);

async function statistics(sql: pg.Pool, atLeast: number): Promise<{ updates: number; hot: number }> {
  for (let tries = 0; ; tries += 1) {
    const { rows } = await sql.query<{ updates: number; hot: number }>(
      `SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = 'sessions'`,
    );
    const [counts = { updates: 0, hot: 0 }] = rows;
    if (counts.updates >= atLeast || tries === 50) return counts;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
