// Invariant 7: after a request that revokes sessions has returned, no earlier token works, regardless of concurrent requests.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { hash as bcryptHash } from '@node-rs/bcrypt';
import type { Response } from 'supertest';
import { type Account, password } from '../harness.ts';
import { granted, rejectionReason } from '../support/refresh-tokens.ts';
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

const hashOf = (userId: string) => workers.db.users.passwordHash(userId);

interface Race {
  /** Responses with status 200, before or after the revocation. */
  refreshed: Response[];
  loggedIn: Response[];
  /** Logins that had returned when the revocation was requested. */
  loggedInFirst: Response[];
}

/**
 * Sends twenty refreshes of one token, each followed by a refresh of the returned token, and twenty logins with the old password
 * to both processes. Half of them start first. When `logins` have returned, `revoke` and the other half start.
 */
async function race(logins: number, account: Account, token: string, revoke: () => Promise<void>): Promise<Race> {
  const loggedIn: Response[] = [];
  const refreshed: Response[] = [];
  const note = (response: Response, granting: Response[]) => {
    if (response.status === 200) granting.push(response);
    else if (response.status !== 401) throw new Error(`expected 200 or 401: ${response.text}`);
    return response;
  };
  const refreshTwice = async (index: number) => {
    const once = note(await workers.at(index).refresh(token), refreshed);
    if (once.status === 200) note(await workers.at(index + 1).refresh(granted(once)), refreshed);
  };
  let proceed = () => {};
  const enough = new Promise<void>((resolve) => (proceed = resolve));
  const logIn = async (index: number) => {
    note(await workers.at(index).login(account.email), loggedIn);
    if (loggedIn.length >= logins) proceed();
  };
  const wave = () => atOnce(10, (index) => Promise.all([logIn(index), refreshTwice(index)]));

  const firstWave = wave();
  await enough;
  const loggedInFirst = [...loggedIn];
  await Promise.all([revoke(), firstWave, wave()]);
  return { refreshed, loggedIn, loggedInFirst };
}

/** Runs the race several times. In each run the revocation starts later. */
async function inRounds(run: (logins: number) => Promise<Race>): Promise<void> {
  for (const logins of [1, 3, 5, 8]) {
    const { refreshed } = await run(logins);
    expect(refreshed).not.toEqual([]); // otherwise there was no race
  }
}

async function expectRevoked(responses: readonly Response[]): Promise<void> {
  for (const [index, response] of responses.entries()) {
    const { access_token: access } = response.body as { access_token: string };
    expect(rejectionReason(await workers.at(index).refresh(granted(response)))).toBe('revoked');
    expect((await workers.at(index + 1).get('/me', access)).status).toBe(401);
  }
}

/** Ids of the user's sessions that are not revoked. With `before`: only those created before that session was revoked. */
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

/** Changes the user's row and then revokes its sessions, in one transaction, as the service does. */
async function changeUserAndRevoke(userId: string, change: string, values: unknown[]): Promise<void> {
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

test('after a logout no token of that session works, and other sessions stay live (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const { refresh_token: token, session_id: id } = account;
    const revoke = () => expectNoContent(workers.second.post('/logout', { refresh_token: token }));
    const raced = await race(logins, account, token, revoke);
    await expectRevoked(raced.refreshed);
    expect((await workers.db.sessions.get(id)).revokedReason).toBe('logout');
    expect(raced.loggedIn).toHaveLength(20);
    await atOnce(20, async (index) =>
      granted(await workers.at(index).refresh(granted(raced.loggedIn[index] as Response))),
    );
    return raced;
  });
}, 120_000);

test('after a logout everywhere no earlier session works (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const { refresh_token: token, session_id: id, access_token: access } = account;
    const revoke = () => expectNoContent(workers.second.post('/logout/all', undefined, access));
    const raced = await race(logins, account, token, revoke);
    await expectRevoked([...raced.refreshed, ...raced.loggedInFirst]);
    // A concurrent login commits either before the logout, and is revoked, or after it.
    expect((await workers.db.sessions.get(id)).revokedReason).toBe('logout_all');
    expect(await unrevoked(account.user.id, id)).toEqual([]);
    return raced;
  });
}, 120_000);

test('after a password change only the session that changed it works (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const other = granted(await workers.second.login(account.email));
    const body = { current_password: password, new_password: newPassword };
    const revoke = () => expectNoContent(workers.at(logins).post('/me/password', body, account.access_token));
    const raced = await race(logins, account, other, revoke);
    await expectRevoked([...raced.refreshed, ...raced.loggedIn]);
    expect(await unrevoked(account.user.id)).toEqual([account.session_id]);
    granted(await workers.first.refresh(account.refresh_token));
    expect((await workers.second.login(account.email)).status).toBe(401);
    granted(await workers.second.login(account.email, newPassword));
    return raced;
  });
}, 120_000);

test('after an account was disabled no earlier token works, even when it is enabled again (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const { id } = account.user;
    const revoke = () => changeUserAndRevoke(id, 'is_active = false', []);
    const raced = await race(logins, account, account.refresh_token, revoke);
    await expectRevoked([...raced.refreshed, ...raced.loggedIn]);
    expect((await workers.first.login(account.email)).status).toBe(401);
    await workers.db.users.enable(id);
    expect(await unrevoked(id)).toEqual([]);
    return raced;
  });
}, 120_000);

test('after a password reset no earlier token works, and no rehash restores the old password (invariant 7)', async () => {
  await inRounds(async (logins) => {
    const account = await workers.first.register();
    const { id } = account.user;
    await workers.db.users.setPasswordHash(id, await bcryptHash(password, 4));
    const revoke = () => changeUserAndRevoke(id, 'password_hash = $2', [newHash]);
    const raced = await race(logins, account, account.refresh_token, revoke);
    await expectRevoked([...raced.refreshed, ...raced.loggedIn]);
    expect(await unrevoked(id)).toEqual([]);
    expect(await hashOf(id)).toBe(newHash);
    return raced;
  });
}, 120_000);

test('no session of a disabled user can be refreshed, even if none was revoked (invariant 7)', async () => {
  const { refresh_token: spent, user } = await workers.first.register();
  const latest = granted(await workers.first.refresh(spent));
  await workers.db.users.disable(user.id);
  for (const token of [latest, spent]) expect(rejectionReason(await workers.second.refresh(token))).toBe('revoked');
});
