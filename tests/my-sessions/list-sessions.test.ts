import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startApp, type Account, type TestApp } from '../harness.ts';

jest.setTimeout(30_000);

const utcTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

interface Listed {
  id: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
  ip: string;
  user_agent: string | null;
  amr: string[];
  current: boolean;
}

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

async function list(token: string, query = ''): Promise<{ sessions: Listed[]; next_cursor: string | null }> {
  const response = await app.get(`/sessions${query}`, token);
  expect(response.status).toBe(200);
  return response.body;
}

const idsOf = ({ sessions }: { sessions: Listed[] }) => sessions.map(({ id }) => id);
const loginOf = async ({ email }: Account) => (await app.login(email)).body as Account;

/** An account with this number of sessions; `ids` are newest first. */
async function userWith(sessions: number): Promise<{ account: Account; ids: string[] }> {
  const account = await app.register();
  const ids = [account.session_id];
  while (ids.length < sessions) {
    app.clock.step(0.005); // ids of the same millisecond are not ordered
    ids.unshift((await loginOf(account)).session_id);
  }
  return { account, ids };
}

describe('the list of sessions', () => {
  test('contains the public facts of each session and no secrets', async () => {
    const account = await app.register();
    const response = await app.get('/sessions', account.access_token);
    expect(response.headers).toMatchObject({ 'cache-control': 'no-store' });
    expect(response.body).toEqual({
      sessions: [
        {
          id: account.session_id,
          created_at: utcTime,
          last_used_at: utcTime,
          expires_at: utcTime,
          ip: '127.0.0.1',
          user_agent: null,
          amr: ['pwd'],
          current: true,
        },
      ],
      next_cursor: null,
    });
    const [{ created_at: created, last_used_at: used, expires_at: expires }] = response.body.sessions;
    expect(used).toBe(created);
    expect(Date.parse(expires) - Date.parse(created)).toBeCloseTo(30 * 86_400_000, -3);
  });

  test('is sorted newest first and marks the current session', async () => {
    const { account, ids } = await userWith(4);
    const { sessions } = await list(account.access_token);
    expect(sessions.map(({ id }) => id)).toEqual(ids);
    expect(sessions.map(({ current }) => current)).toEqual([false, false, false, true]);
  });

  test('contains only own sessions', async () => {
    const [one, two] = [await userWith(2), await userWith(3)];
    expect(idsOf(await list(one.account.access_token))).toEqual(one.ids);
    expect(idsOf(await list(two.account.access_token))).toEqual(two.ids);
  });

  test('contains only live sessions', async () => {
    const { account, ids } = await userWith(5);
    const [newest = '', revoked = '', idle = '', expired = '', own = ''] = ids;
    expect((await app.call('delete', `/sessions/${revoked}`, { token: account.access_token })).status).toBe(204);
    await app.db.sessions.expire(idle);
    await app.db.sessions.expireAbsolutely(expired);
    expect(idsOf(await list(account.access_token))).toEqual([newest, own]);
  });

  test('shows a later last_used_at after a refresh, but never a later absolute expiry', async () => {
    const { account } = await userWith(2);
    const other = await loginOf(account);
    const entry = async () => (await list(account.access_token)).sessions.find(({ id }) => id === other.session_id);
    await app.sql.query(
      `UPDATE sessions SET created_at = created_at - interval '1 day', expires_at = expires_at - interval '1 day',
              absolute_expires_at = absolute_expires_at - interval '1 day' WHERE id = $1`,
      [other.session_id],
    );
    const before = await entry();
    expect((await app.refresh(other.refresh_token)).status).toBe(200);
    const after = await entry();
    expect(before?.last_used_at).toBe(before?.created_at);
    expect(Date.parse(after?.last_used_at ?? '') - Date.parse(before?.last_used_at ?? '')).toBeGreaterThan(86_390_000);
    expect(after?.created_at).toBe(before?.created_at);
    expect(after?.expires_at).toBe(before?.expires_at);
  });
});

describe('paging', () => {
  test('returns every session once and in order for any limit', async () => {
    const { account, ids } = await userWith(7);
    for (const limit of [1, 2, 3, 7, 100]) {
      const listed: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const page: { sessions: Listed[]; next_cursor: string | null } = await list(
          account.access_token,
          `?limit=${limit}${cursor && `&cursor=${cursor}`}`,
        );
        expect(page.sessions.length).toBeLessThanOrEqual(limit);
        listed.push(...idsOf(page));
        cursor = page.next_cursor;
      }
      expect(listed).toEqual(ids);
    }
  });

  test('neither repeats nor skips sessions while others are created and revoked', async () => {
    const { account, ids } = await userWith(5);
    const first = await list(account.access_token, '?limit=2');
    const revoke = (id = '') => app.call('delete', `/sessions/${id}`, { token: account.access_token });
    await revoke(ids[1]); // the session of the cursor
    await revoke(ids[2]); // a session of the next page
    app.clock.step(0.005);
    await loginOf(account);
    const second = await list(account.access_token, `?limit=2&cursor=${first.next_cursor}`);
    expect(idsOf(first)).toEqual(ids.slice(0, 2));
    expect(idsOf(second)).toEqual(ids.slice(3));
    expect(second.next_cursor).toBeNull();
  });

  test('returns twenty sessions by default', async () => {
    const { account } = await userWith(22);
    const first = await list(account.access_token);
    expect(first.sessions).toHaveLength(20);
    expect((await list(account.access_token, `?cursor=${first.next_cursor}`)).sessions).toHaveLength(2);
  });

  test('returns the same page for the session of another user as for an id that does not exist', async () => {
    const { account, ids } = await userWith(2);
    app.clock.step(0.005);
    const other = await app.register();
    const made = other.session_id.replace(/..$/, (end) => (end === '00' ? '01' : '00'));
    for (const cursor of [other.session_id, made])
      expect(idsOf(await list(account.access_token, `?cursor=${cursor}`))).toEqual(ids);
    app.clock.step(0.005);
    const { session_id: newest } = await loginOf(account);
    for (const cursor of [other.session_id, made])
      expect(idsOf(await list(account.access_token, `?cursor=${cursor}`))).toEqual(ids);
    expect(idsOf(await list(account.access_token))).toEqual([newest, ...ids]);
  });

  test('continues after a session that the purge has deleted', async () => {
    const { account, ids } = await userWith(4);
    const first = await list(account.access_token, '?limit=2');
    await app.sql.query('DELETE FROM sessions WHERE id = $1', [ids[1]]);
    expect(idsOf(await list(account.access_token, `?limit=2&cursor=${first.next_cursor}`))).toEqual(ids.slice(2));
  });

  test.each([
    ['limit', ['0', '101', 'abc', '-1', '', '1.5', '01', '1e1', '%201', '99999999999999999999']],
    ['cursor', ['abc', '', '0197a1b0', "'; DROP TABLE sessions;--", '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b1']],
  ])('returns 400 for a malformed %s', async (name, values) => {
    const { access_token: token } = await app.register();
    for (const value of [...values, `1&${name}=2`]) {
      const response = await app.get(`/sessions?${name}=${value}`, token);
      expect([value, response.status]).toEqual([value, 400]);
      expect(response.body).toMatchObject({ code: 'validation_failed', errors: [{ path: name }] });
    }
  });
});
