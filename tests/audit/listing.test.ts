import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type AuditEventQuery, findEvents } from '../../src/core/audit/audit-events.sql.ts';
import { type EventId, minId, type UserId } from '../../src/lib/ids.ts';
import { password, startApp, type TestApp } from '../harness.ts';
import { costOf, statementOf } from '../support/statement-cost.ts';
import { addEvent, newAuditor, eventsOf, monthAt } from './trail.ts';

jest.setTimeout(60_000);

let app: TestApp;
let auditor: Awaited<ReturnType<typeof newAuditor>>;
beforeAll(async () => {
  app = await startApp();
  auditor = await newAuditor(app);
});
afterAll(() => app.close());

interface Listed {
  id: string;
  type: string;
  [member: string]: unknown;
}

async function list(query = ''): Promise<{ events: Listed[]; next_cursor: string | null }> {
  const response = await app.get(`/admin/audit${query}`, auditor.token);
  expect(response.status).toBe(200);
  return response.body;
}

/** Reads all pages. `between` runs after each page. */
async function walk(query: string, between = async () => {}): Promise<string[]> {
  const ids: string[] = [];
  let cursor = '';
  for (;;) {
    const { events, next_cursor: next } = await list(`?limit=3${query}${cursor}`);
    ids.push(...events.map(({ id }) => id));
    if (next === null) return ids;
    cursor = `&cursor=${next}`;
    await between();
  }
}

const newestFirst = async (condition: string, ...values: unknown[]) =>
  (await eventsOf(app.sql, condition, ...values)).map(({ id }) => id).toReversed();

describe('an event', () => {
  test('has its actor, action, time, source, session, outcome and reason', async () => {
    const { user, email } = await app.register();
    const headers = { 'user-agent': 'Tester/1.0', 'x-request-id': 'request-of-a-test' };
    const body = { email, password: 'wrong wrong wrong' };
    expect((await app.call('post', '/login', { body, headers })).status).toBe(401);
    const [event] = (await list(`?user_id=${user.id}&limit=1`)).events;
    expect(event).toEqual({
      id: expect.stringMatching(/^[\da-f-]{36}$/),
      occurred_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      type: 'login',
      outcome: 'failure',
      reason: 'wrong_password',
      actor_id: null,
      user_id: user.id,
      session_id: null,
      api_key_id: null,
      role: null,
      kid: null,
      request_id: expect.stringMatching(/^[\da-f-]{36}$/),
      client_request_id: 'request-of-a-test',
      ip: '127.0.0.1',
      user_agent: 'Tester/1.0',
      email,
    });
  });

  test('has an id of the service, also if callers send the same X-Request-Id again', async () => {
    const { user, email } = await app.register();
    const body = { email, password: 'wrong wrong wrong' };
    const headers = { 'x-request-id': 'chosen-by-the-caller' };
    for (let times = 0; times < 2; times += 1) {
      const response = await app.call('post', '/login', { body, headers });
      expect([response.headers['x-request-id'], response.body.instance]).toEqual(Array(2).fill('chosen-by-the-caller'));
    }
    const { headers: own } = await app.call('post', '/login', { body });
    const events = (await list(`?user_id=${user.id}&type=login`)).events as Record<string, unknown>[];
    expect(events.map((event) => event['client_request_id'])).toEqual([
      null,
      'chosen-by-the-caller',
      'chosen-by-the-caller',
    ]);
    const ids = events.map((event) => event['request_id']);
    expect(new Set([...ids, 'chosen-by-the-caller']).size).toBe(4);
    expect(ids[0]).toBe(own['x-request-id']);
  });

  test('of a user has the ids of the user and the session', async () => {
    const { user, session_id: session } = await app.register();
    const { events } = await list(`?user_id=${user.id}`);
    expect(events).toEqual([
      expect.objectContaining({
        type: 'account.registered',
        outcome: 'success',
        actor_id: user.id,
        user_id: user.id,
        session_id: session,
      }),
    ]);
  });

  test('of a signing key has its kid', async () => {
    const { events } = await list('?type=signing_key.made');
    expect(events.map(({ kid }) => kid)).toContain(app.keyring.active().kid);
    expect(events[0]).toMatchObject({ ip: null, user_agent: null, email: null, user_id: null });
  });

  test('of a deleted account keeps ids and no personal data', async () => {
    const { user, access_token: token } = await app.register();
    expect((await app.post('/me/delete', { current_password: password }, token)).status).toBe(204);
    const { events } = await list(`?user_id=${user.id}`);
    expect(events.map(({ type }) => type)).toEqual(['account.deleted', 'account.registered']);
    for (const event of events) expect(event).toMatchObject({ ip: null, user_agent: null, email: null });
  });
});

describe('pages', () => {
  test('contain each event once, newest first, while events are added', async () => {
    for (let n = 0; n < 8; n += 1) await addEvent(app.sql, new Date(), 'page.test');
    const before = await newestFirst(`type = 'page.test'`);
    expect(await walk('&type=page.test', async () => void (await addEvent(app.sql, new Date(), 'page.test')))).toEqual(
      before,
    );
  });

  test('span months, including months without a partition', async () => {
    for (const month of [-20, -1, 0, 1, 2, 3, 30])
      for (let n = 0; n < 2; n += 1) await addEvent(app.sql, monthAt(month), 'month.test');
    const all = await newestFirst(`type = 'month.test'`);
    expect(all).toHaveLength(14);
    expect(await walk('&type=month.test')).toEqual(all);
    expect(await walk('')).toEqual(await newestFirst('true'));
  });

  test('can be filtered by user, by type and by both', async () => {
    const { user, email } = await app.register();
    for (let n = 0; n < 4; n += 1) expect((await app.login(email)).status).toBe(200);
    expect((await app.login(email, 'wrong wrong wrong')).status).toBe(401);
    expect(await walk(`&user_id=${user.id}`)).toEqual(await newestFirst('user_id = $1', user.id));
    expect(await walk(`&user_id=${user.id.toUpperCase()}&type=login`)).toEqual(
      await newestFirst(`user_id = $1 AND type = 'login'`, user.id),
    );
    expect((await list(`?user_id=${user.id}&type=login`)).events).toHaveLength(5);
    expect(await walk('&type=login')).toEqual(await newestFirst(`type = 'login'`));
    expect(await list('?type=no.such_type')).toEqual({ events: [], next_cursor: null });
    expect(await list('?user_id=01a203e7-b2fc-7d4c-bf05-3c5343d35e9f')).toEqual({ events: [], next_cursor: null });
  });
});

describe('access to the trail', () => {
  test('requires the scope audit:read in the token', async () => {
    const { access_token: user } = await app.register();
    const { email } = await app.register();
    for (const token of [user, (await app.login(email)).body.access_token]) {
      const response = await app.get('/admin/audit', token);
      expect([response.status, response.body.code]).toEqual([403, 'insufficient_scope']);
    }
    expect((await app.get('/admin/audit')).status).toBe(401);
  });

  test('ends immediately for a demoted administrator', async () => {
    const { token, user } = await newAuditor(app);
    expect((await app.get('/admin/audit', token)).status).toBe(200);
    await app.db.roles.take(user.id, 'admin');
    const response = await app.get('/admin/audit', token);
    expect([response.status, response.body.code]).toEqual([403, 'insufficient_scope']);
    expect((await app.get('/me', token)).status).toBe(200);
  });

  test('ends immediately for a disabled account', async () => {
    const { token, user } = await newAuditor(app);
    expect((await app.post('/logout/all', undefined, token)).status).toBe(403); // the token lacks `sessions`
    await app.db.users.disable(user.id);
    expect((await app.get('/admin/audit', token)).status).toBe(401);
  });
});

test('a response lists every malformed parameter', async () => {
  const response = await app.get('/admin/audit?user_id=ada&type=DROP%20TABLE&cursor=1&limit=101', auditor.token);
  expect([response.status, response.body.code]).toEqual([400, 'validation_failed']);
  const paths = response.body.errors.map(({ path }: { path: string }) => path);
  expect(paths.sort()).toEqual(['cursor', 'limit', 'type', 'user_id']);
});

describe('the cost of a page', () => {
  interface Ids {
    userId: UserId;
    middle: EventId;
  }
  const queries: [page: string, query: (ids: Ids) => Partial<AuditEventQuery>][] = [
    ['the first page', () => ({})],
    ['a page in the middle', ({ middle }) => ({ before: middle })],
    ['of one user', ({ userId }) => ({ userId })],
    ['of one type', () => ({ type: 'rare' })],
    ['of one user and type', ({ userId }) => ({ userId, type: 'rare' })],
  ];
  let costs: TestApp;
  let userId: UserId;
  beforeAll(async () => {
    costs = await startApp();
    userId = (await costs.register()).user.id as UserId;
  });
  afterAll(() => costs.close());

  /** Inserts events of other users, one in a thousand of a rare type, and thirty events of one user. */
  const fill = async (count: number) => {
    const id = `(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - (n * 7)), 12, '0') ||
                 substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid`;
    await costs.sql.query(
      `INSERT INTO audit_events (id, type, outcome, user_id)
       SELECT ${id}, CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'login' END, 'success', gen_random_uuid()
       FROM generate_series(1, $1::int) AS n`,
      [count],
    );
    await costs.sql.query(
      `INSERT INTO audit_events (id, type, outcome, user_id)
       SELECT ${id}, CASE WHEN n % 2 = 0 THEN 'rare' ELSE 'login' END, 'success', $1::uuid
       FROM generate_series(1, 30) AS n`,
      [userId],
    );
    await costs.sql.query(
      `INSERT INTO audit_personal_data (event_id, ip) SELECT id, '192.0.2.1' FROM audit_events ON CONFLICT DO NOTHING`,
    );
    await costs.sql.query('VACUUM ANALYZE audit_events, audit_personal_data');
  };

  test('does not grow with the trail', async () => {
    const measure = async () => {
      const { rows } = await costs.sql.query<{ id: EventId }>(
        'SELECT id FROM audit_events ORDER BY id DESC OFFSET 5000 LIMIT 1',
      );
      const ids = { userId, middle: rows[0]?.id ?? minId<EventId>(0) };
      const measured: [page: string, buffers: number][] = [];
      const connection = await costs.sql.connect();
      for (const [page, query] of queries) {
        const statement = await statementOf((tx) =>
          findEvents(tx, { order: 'newest first', limit: 21, ...query(ids) }),
        );
        measured.push([page, (await costOf(connection, statement)).buffers]);
      }
      connection.release(true);
      return measured;
    };
    await fill(10_000);
    const small = await measure();
    await fill(190_000);
    const large = await measure();
    for (const [index, [name, pages]] of large.entries()) {
      const before = small[index]?.[1] ?? NaN;
      // Twenty times as many events add one level to each index.
      expect([name, pages, pages <= 2 * before && pages < 200]).toEqual([name, pages, true]);
    }
  });
});
