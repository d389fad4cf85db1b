// Rotations that come together share a statement. What happens to one of them must not affect the others.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import type { Account } from '../harness.ts';
import { generationOf, granted } from '../support/refresh-tokens.ts';
import { atOnce, startWorkers, type Workers } from '../support/workers.ts';

let workers: Workers;
beforeAll(async () => {
  workers = await startWorkers({ settings: { DATABASE_POOL_MAX: '5', DATABASE_TIMEOUT: '30s' } });
}, 30_000);
afterAll(() => workers.close());

const registerMany = (count: number): Promise<Account[]> => atOnce(count, (index) => workers.at(index).register());

async function counterOf(name: 'xact_commit' | 'deadlocks'): Promise<number> {
  const { rows } = await workers.sql.query<{ count: number }>(
    `SELECT ${name}::int AS count FROM pg_stat_database WHERE datname = current_database()`,
  );
  return rows[0]?.count ?? 0;
}

/** Repeats a refresh with the same token, as a client does after a lost response or a 503. @throws for other responses */
async function refreshUntilGranted(index: number, token: string): Promise<string> {
  for (let tries = 0; tries < 50; tries += 1) {
    const response: Response | undefined = await workers
      .at(index + tries)
      .refresh(token)
      .catch(() => undefined);
    if (response && response.status !== 503) return granted(response);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('no response but 503 after 50 tries');
}

test('two hundred concurrent refreshes of one process need far fewer transactions, and each gets its own successor', async () => {
  const accounts = await registerMany(200);
  const before = await counterOf('xact_commit');
  const tokens = await Promise.all(
    accounts.map(async (each) => granted(await workers.first.refresh(each.refresh_token))),
  );
  expect((await counterOf('xact_commit')) - before).toBeLessThan(100);
  expect(new Set(tokens).size).toBe(200);
  for (const [index, token] of tokens.entries()) {
    expect(generationOf(token)).toBe(1);
    expect(token.slice(4, 25)).toBe(accounts[index]?.refresh_token.slice(4, 25)); // the session id
  }
  for (const token of tokens) granted(await workers.second.refresh(token));
}, 60_000);

test('a locked session delays only its own refresh', async () => {
  const [held, alsoHeld, ...others] = await registerMany(202);
  const blocker = await workers.sql.connect();
  let blocked = 2;
  const refresh = async (account: Account | undefined) => {
    const token = granted(await workers.first.refresh(account?.refresh_token ?? ''));
    blocked -= 1;
    return token;
  };
  try {
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM sessions WHERE id = ANY($1) FOR UPDATE', [
      [held?.session_id, alsoHeld?.session_id],
    ]);
    const waiting = [refresh(held)]; // finds no rotation in progress, and runs alone
    await workers.first.refresh(others[0]?.refresh_token ?? '');
    waiting.push(refresh(alsoHeld)); // is part of a group
    for (const { refresh_token: token } of others.slice(0, 20))
      expect((await workers.first.refresh(token)).status).toBe(200);
    const rest = await atOnce(others.length, (index) => workers.first.refresh(others[index]?.refresh_token ?? ''));
    expect(new Set(rest.map(({ status }) => status))).toEqual(new Set([200]));
    expect(blocked).toBe(2);
    await blocker.query('COMMIT');
    expect((await Promise.all(waiting)).map(generationOf)).toEqual([1, 1]);
  } finally {
    blocker.release();
  }
}, 60_000);

test('one session that is refreshed many times at once is rotated once (invariants 2 and 3)', async () => {
  const accounts = await registerMany(10);
  const responses = await atOnce(200, (index) =>
    workers.at(Math.floor(index / 10)).refresh(accounts[index % 10]?.refresh_token ?? ''),
  );
  const tokens = responses.map(granted);
  expect(new Set(tokens).size).toBe(10);
  expect(new Set(tokens.map(generationOf))).toEqual(new Set([1]));
}, 60_000);

test('a flood of replays of one session refuses no request and writes nothing', async () => {
  const [flooding, ...others] = await registerMany(21);
  const { refresh_token: spent = '' } = flooding ?? {};
  granted(await workers.first.refresh(spent));
  const transactionIds = async () => {
    const { rows } = await workers.sql.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
    return Number(rows[0]?.id);
  };
  const before = await transactionIds();
  const replays = await atOnce(400, () => workers.first.refresh(spent));
  expect(new Set(replays.map(({ status }) => status))).toEqual(new Set([200]));
  expect((await transactionIds()) - before).toBeLessThan(20);

  const flood = atOnce(2200, () => workers.first.refresh(spent));
  const tokens = await Promise.all(others.map(({ refresh_token: token }) => workers.first.refresh(token)));
  expect(tokens.map(granted)).toHaveLength(20);
  expect(new Set((await flood).map(({ status }) => status))).toEqual(new Set([200]));
}, 120_000);

test('spent, revoked and malformed tokens among valid ones fail alone', async () => {
  const accounts = await registerMany(40);
  const outcomes = new Map<string, number>();
  for (const [index, { refresh_token: token, session_id: id, access_token: access }] of accounts.entries()) {
    outcomes.set(token, index % 4 === 0 || index % 4 === 3 ? 200 : 401);
    if (index % 4 === 1) await workers.first.post('/logout', { refresh_token: token });
    if (index % 4 === 2) {
      await workers.first.refresh(token);
      await workers.db.sessions.age(60, id);
    }
    if (index % 4 === 3) await workers.first.get('/me', access);
  }
  outcomes.set(`${accounts[0]?.refresh_token.slice(0, -1)}~`, 401);
  await Promise.all(
    [...outcomes].map(async ([token, status]) => expect((await workers.first.refresh(token)).status).toBe(status)),
  );
}, 60_000);

test('overlapping groups of two processes, and revocations of many sessions, never deadlock', async () => {
  const account = await workers.first.register();
  const before = await counterOf('deadlocks');
  for (let round = 0; round < 15; round += 1) {
    const logins = await atOnce(40, (index) => workers.at(index).login(account.email));
    const tokens = logins.map(granted);
    const refreshes = atOnce(160, (index) =>
      workers.at(index).refresh(tokens[(index * 7 + (index % 2 ? round : 39 - round)) % 40] ?? ''),
    );
    const [{ access_token: access = '' } = {}] = logins.map(({ body }) => body as { access_token?: string });
    const revocation = workers.at(round).post('/logout/all', undefined, access);
    expect((await revocation).status).toBe(204);
    for (const { status } of await refreshes) expect([200, 401]).toContain(status);
  }
  await workers.sql.query('SELECT pg_stat_force_next_flush()').catch(() => {}); // before Postgres 15 there is none
  expect(await counterOf('deadlocks')).toBe(before);
}, 240_000);

test('terminating fifty backends in the middle of rotations logs no client out', async () => {
  const accounts = await registerMany(100);
  let refreshes = 0;
  let terminated = 0;
  const terminateOne = () =>
    workers.sql.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'keyturn' AND query LIKE '%UPDATE sessions%'
       ORDER BY state = 'active' DESC, random() LIMIT 1`,
    );
  await Promise.all(
    accounts.map(async ({ refresh_token: first }, index) => {
      let token = first;
      for (let done = 0; done < 6 || (terminated < 50 && done < 60); done += 1) {
        token = await refreshUntilGranted(index, token);
        refreshes += 1;
        if (terminated < refreshes / 8) terminated += (await terminateOne()).rowCount ?? 0;
      }
      await refreshUntilGranted(index, token);
    }),
  );
  expect(terminated).toBeGreaterThanOrEqual(50);
}, 120_000);
