// Invariant 7: once a call that ends sessions has returned, nothing of before works, whatever raced it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { hash as bcryptHash } from '@node-rs/bcrypt';
import type { Response } from 'supertest';
import { type Account, password } from '../harness.ts';
import { granted, refusal } from '../support/refresh-tokens.ts';
import { readSession } from '../support/session-rows.ts';
import { atOnce, startWorkers, type Workers } from '../support/workers.ts';

const newPassword = 'a quieter mare and no battery';

let workers: Workers;
let newHash: string;
beforeAll(async () => {
  workers = await startWorkers({ settings: { HASH_CONCURRENCY: '3' } });
  const { user } = await workers.first.register({ password: newPassword });
  newHash = await hashOf(user.id);
}, 30_000);
afterAll(() => workers.close());

const hashOf = async (userId: string): Promise<string> =>
  (await workers.sql.query<{ hash: string }>('SELECT password_hash AS hash FROM users WHERE id = $1', [userId])).rows[0]
    ?.hash ?? '';

interface Race {
  /** Answered 200, before or after the end. */
  refreshed: Response[];
  loggedIn: Response[];
  /** Of the logins: those that had been answered when the end was asked for. */
  loggedInBefore: Response[];
}

/**
 * Twenty refreshes of one token, each with one of what it gave, and twenty logins with the password of before, from both
 * processes. Half of them begin before the end, which comes when `logins` are through, and half with it.
 */
async function race(logins: number, account: Account, token: string, end: () => Promise<void>): Promise<Race> {
  const loggedIn: Response[] = [];
  const refreshed: Response[] = [];
  const note = (response: Response, granting: Response[]) => {
    if (response.status === 200) granting.push(response);
    else if (response.status !== 401) throw new Error(`neither 200 nor 401: ${response.text}`);
    return response;
  };
  const refreshTwice = async (index: number) => {
    const once = note(await workers.at(index).refresh(token), refreshed);
    if (once.status === 200) note(await workers.at(index + 1).refresh(granted(once)), refreshed);
  };
  let goOn = () => {};
  const enough = new Promise<void>((resolve) => (goOn = resolve));
  const logIn = async (index: number) => {
    note(await workers.at(index).login(account.email), loggedIn);
    if (loggedIn.length >= logins) goOn();
  };
  const wave = () => atOnce(10, (index) => Promise.all([logIn(index), refreshTwice(index)]));

  const firstWave = wave();
  await enough;
  const loggedInBefore = [...loggedIn];
  await Promise.all([end(), firstWave, wave()]);
  return { refreshed, loggedIn, loggedInBefore };
}

/** Rounds of a race, of which each ends a little later. */
async function inRounds(run: (logins: number) => Promise<Race>): Promise<void> {
  for (const logins of [1, 3, 5, 8]) {
    const { refreshed } = await run(logins);
    expect(refreshed).not.toEqual([]); // else it has proved nothing
  }
}

async function expectDead(answers: readonly Response[]): Promise<void> {
  for (const [index, answer] of answers.entries()) {
    const { access_token: access } = answer.body as { access_token: string };
    expect(refusal(await workers.at(index).refresh(granted(answer)))).toBe('revoked');
    expect((await workers.at(index + 1).get('/me', access)).status).toBe(401);
  }
}

/** Sessions of a user that are not revoked; of those, the ones that were born before another was revoked. */
async function unrevoked(userId: string, before?: string): Promise<string[]> {
  const { rows } = await workers.sql.query<{ id: string }>(
    `SELECT id FROM sessions WHERE user_id = $1 AND revoked_at IS NULL
     AND created_at < COALESCE((SELECT revoked_at FROM sessions WHERE id = $2), 'infinity')`,
    [userId, before ?? null],
  );
  return rows.map(({ id }) => id);
}

async function expectNoContent(pending: Promise<Response>): Promise<void> {
  expect((await pending).status).toBe(204);
}

/** As the service does it: the user's row first, then its sessions, in one transaction. */
async function endByUser(userId: string, change: string, values: unknown[]): Promise<void> {
  const client = await workers.sql.connect();
  try {
    await client.query('BEGIN');
    await client.query(`UPDATE users SET ${change} WHERE id = $1`, [userId, ...values]);
    await client.query(
      `UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = 'password_changed'
       WHERE user_id = $1 AND revoked_at IS NULL`,
      [userId],
    );
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

test('after a logout no token of that session works, and other sessions live on (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const { refresh_token: token, session_id: id } = account;
    const end = () => expectNoContent(workers.second.post('/logout', { refresh_token: token }));
    const raced = await race(logins, account, token, end);
    await expectDead(raced.refreshed);
    expect((await readSession(workers.sql, id)).revokedReason).toBe('logout');
    expect(raced.loggedIn).toHaveLength(20);
    await atOnce(20, async (index) =>
      granted(await workers.at(index).refresh(granted(raced.loggedIn[index] as Response))),
    );
    return raced;
  });
}, 60_000);

test('after a logout everywhere no session that was there works (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const { refresh_token: token, session_id: id, access_token: access } = account;
    const end = () => expectNoContent(workers.second.post('/logout/all', undefined, access));
    const raced = await race(logins, account, token, end);
    await expectDead([...raced.refreshed, ...raced.loggedInBefore]);
    // A login that was in flight comes before it as a whole, and is dead, or after it.
    expect((await readSession(workers.sql, id)).revokedReason).toBe('logout_all');
    expect(await unrevoked(account.user.id, id)).toEqual([]);
    return raced;
  });
}, 60_000);

test('after a change of the password only the session that changed it lives (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const other = granted(await workers.second.login(account.email));
    const body = { current_password: password, new_password: newPassword };
    const end = () => expectNoContent(workers.at(logins).post('/me/password', body, account.access_token));
    const raced = await race(logins, account, other, end);
    await expectDead([...raced.refreshed, ...raced.loggedIn]);
    expect(await unrevoked(account.user.id)).toEqual([account.session_id]);
    granted(await workers.first.refresh(account.refresh_token));
    expect((await workers.second.login(account.email)).status).toBe(401);
    granted(await workers.second.login(account.email, newPassword));
    return raced;
  });
}, 60_000);

test('after a disabling nothing of before works, not even once the account is enabled again (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const { id } = account.user;
    const end = () => endByUser(id, 'is_active = false', []);
    const raced = await race(logins, account, account.refresh_token, end);
    await expectDead([...raced.refreshed, ...raced.loggedIn]);
    expect((await workers.first.login(account.email)).status).toBe(401);
    await workers.sql.query('UPDATE users SET is_active = true WHERE id = $1', [id]);
    expect(await unrevoked(id)).toEqual([]);
    return raced;
  });
}, 60_000);

test('after a reset nothing of before works, and no better hash of the old password comes back (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const { id } = account.user;
    await workers.sql.query('UPDATE users SET password_hash = $2 WHERE id = $1', [id, await bcryptHash(password, 4)]);
    const end = () => endByUser(id, 'password_hash = $2', [newHash]);
    const raced = await race(logins, account, account.refresh_token, end);
    await expectDead([...raced.refreshed, ...raced.loggedIn]);
    expect(await unrevoked(id)).toEqual([]);
    expect(await hashOf(id)).toBe(newHash);
    return raced;
  });
}, 60_000);

test('a user who is not active turns no session, although none was revoked (invariant 7)', async () => {
  const { refresh_token: spent, user } = await workers.first.register();
  const newest = granted(await workers.first.refresh(spent));
  await workers.sql.query('UPDATE users SET is_active = false WHERE id = $1', [user.id]);
  for (const token of [newest, spent]) expect(refusal(await workers.second.refresh(token))).toBe('revoked');
});
