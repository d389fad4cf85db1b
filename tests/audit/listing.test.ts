import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type AuditEventQuery, findEvents } from '../../src/core/audit/audit-events.sql.ts';
import type { EmailAddress } from '../../src/core/users/email-address.ts';
import { type EventId, minId, type SessionId, type UserId } from '../../src/lib/ids.ts';
import { addressRangeOf } from '../../src/lib/network.ts';
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

describe('the filter', () => {
  const failedLogin = async (email: string, from: string, id?: string) => {
    const headers = { 'x-forwarded-for': from, ...(id === undefined ? {} : { 'x-request-id': id }) };
    const response = await proxied.call('post', '/login', { body: { email, password: 'wrong wrong wrong' }, headers });
    expect(response.status).toBe(401);
    return String(response.headers['x-request-id']);
  };
  let proxied: TestApp;
  let token: string;
  beforeAll(async () => {
    proxied = await startApp({ TRUST_PROXY: '1', LOCKOUT_ATTEMPTS: '100' });
    ({ token } = await newAuditor(proxied));
  });
  afterAll(() => proxied.close());

  const find = async (filter: Record<string, string>): Promise<Listed[]> => {
    const response = await proxied.get(
      `/admin/audit?${new URLSearchParams({ limit: '100', ...filter }).toString()}`,
      token,
    );
    expect([filter, response.status]).toEqual([filter, 200]);
    return response.body.events;
  };
  const typesOf = async (filter: Record<string, string>) => (await find(filter)).map(({ type }) => type);

  test('email finds the events that have the address, in any case, and none of other addresses', async () => {
    const [ada, bob] = [await proxied.register(), await proxied.register()];
    await failedLogin(ada.email, '192.0.2.1');
    expect(await typesOf({ email: ada.email.toUpperCase() })).toEqual(['login', 'account.registered']);
    expect(await typesOf({ email: ada.email, type: 'login' })).toEqual(['login']);
    expect(await typesOf({ email: ada.email, user_id: bob.user.id })).toEqual([]);
    expect(await typesOf({ email: 'nobody@example.com' })).toEqual([]);
    await proxied.post('/me/delete', { current_password: password }, ada.access_token);
    expect(await typesOf({ email: ada.email })).toEqual([]);
  });

  test('session_id finds the events of a session', async () => {
    const { session_id: id, refresh_token: refresh } = await proxied.register();
    expect((await proxied.post('/logout', { refresh_token: refresh })).status).toBe(204);
    expect(await typesOf({ session_id: id.toUpperCase() })).toEqual(['logout', 'account.registered']);
  });

  test('request_id finds the events of a request by the X-Request-Id of its response, whoever chose it', async () => {
    const { email } = await proxied.register();
    const own = await failedLogin(email, '192.0.2.2');
    for (let times = 0; times < 2; times += 1) await failedLogin(email, '192.0.2.2', 'chosen.by-the_caller');
    expect((await find({ request_id: own })).map(({ request_id: id }) => id)).toEqual([own]);
    const chosen = await find({ request_id: 'chosen.by-the_caller' });
    expect(chosen.map((event) => event['client_request_id'])).toEqual(Array(2).fill('chosen.by-the_caller'));
    expect(chosen.map(({ id }) => id)).toEqual(
      chosen
        .map(({ id }) => id)
        .toSorted()
        .toReversed(),
    );
    expect(await find({ request_id: 'chosen.by-the_caller', limit: '1' })).toEqual(chosen.slice(0, 1));
    expect(await find({ request_id: String(chosen[0]?.['request_id']) })).toEqual(chosen.slice(0, 1));
  });

  test.each([
    ['198.51.100.7', ['198.51.100.7']],
    ['::ffff:198.51.100.7', ['198.51.100.7']],
    ['198.51.100.0/24', ['198.51.100.7', '198.51.100.255']],
    ['198.51.100.99/24', ['198.51.100.7', '198.51.100.255']],
    ['::ffff:198.51.100.0/120', ['198.51.100.7', '198.51.100.255']],
    ['198.51.100.128/25', ['198.51.100.255']],
    ['198.51.0.0/16', ['198.51.100.7', '198.51.100.255', '198.51.101.0']],
    ['0.0.0.0/0', ['198.51.100.7', '198.51.100.255', '198.51.101.0']],
    ['2001:db8:0:1::/64', ['2001:db8:0:1::1', '2001:db8:0:1:ffff:ffff:ffff:ffff']],
    ['2001:DB8::1:0:0:0:1', ['2001:db8:0:1::1']],
    ['2001:db8::/32', ['2001:db8:0:1::1', '2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:2::']],
    ['::/0', ['2001:db8:0:1::1', '2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:2::']],
    ['203.0.113.0/24', []],
  ])('ip=%s finds the events from its addresses', async (ip, addresses) => {
    const mark = 'ip.test';
    const all = ['198.51.100.7', '198.51.100.255', '198.51.101.0', '2001:db8:0:1::1'];
    all.push('2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:2::');
    if ((await find({ type: mark })).length === 0)
      for (const address of all) await addEvent(proxied.sql, new Date(), mark, address);
    expect((await find({ ip, type: mark })).map((event) => String(event['ip'])).sort()).toEqual([...addresses].sort());
  });

  test('ip compares the address of the client behind a proxy', async () => {
    const { email } = await proxied.register();
    await failedLogin(email, '[2001:db8:7::1]:4711');
    await failedLogin(email, '192.0.2.77');
    expect((await find({ email, ip: '2001:db8:7::/48' })).map((event) => event['ip'])).toEqual(['2001:db8:7::1']);
    expect((await find({ email, ip: '192.0.2.64/26' })).map((event) => event['ip'])).toEqual(['192.0.2.77']);
  });

  test('since is inclusive, until is exclusive, and both compare occurred_at', async () => {
    const at = (ms: number) => new Date(Date.UTC(2026, 4, 1) + ms);
    for (const ms of [0, 1, 2]) await addEvent(proxied.sql, at(ms), 'time.test');
    const found = async (filter: Record<string, string>) =>
      (await find({ type: 'time.test', ...filter })).map((event) => String(event['occurred_at']));
    const [zero, one, two] = [0, 1, 2].map((ms) => at(ms).toISOString());
    expect(await found({ since: `${one}` })).toEqual([two, one]);
    expect(await found({ until: `${one}` })).toEqual([zero]);
    expect(await found({ since: `${one}`, until: `${two}` })).toEqual([one]);
    expect(await found({ since: '2026-05-01t02:00:00.001+02:00', until: '2026-05-01t00:00:00.002z' })).toEqual([one]);
    expect(await found({ since: '1970-01-01T00:00:00Z' })).toEqual([two, one, zero]);
  });

  test('since and until find an event by its own occurred_at, although its id has the clock of another machine', async () => {
    for (const minutes of [-9, 9]) {
      const at = new Date(Date.UTC(2026, 5, 1));
      await addEvent(proxied.sql, new Date(at.getTime() + minutes * 60_000), 'skew.test', '192.0.2.1', at);
    }
    const range = { since: '2026-06-01T00:00:00Z', until: '2026-06-01T00:00:00.001Z' };
    expect(await find({ type: 'skew.test', ...range })).toHaveLength(2);
  });

  test('combines with the others and with a cursor', async () => {
    const { user, email, session_id: session } = await proxied.register();
    for (let times = 0; times < 5; times += 1) await failedLogin(email, `192.0.2.${times}`);
    const filter = { email, ip: '192.0.2.0/24', type: 'login', user_id: user.id, since: '2026-01-01T00:00:00Z' };
    const all = (await find(filter)).map(({ id }) => id);
    expect(all).toHaveLength(5);
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const query = new URLSearchParams({ limit: '2', ...filter, ...(cursor && { cursor }) });
      const { body } = await proxied.get(`/admin/audit?${query.toString()}`, token);
      pages.push(...body.events.map(({ id }: Listed) => id));
      cursor = body.next_cursor;
    }
    expect(pages).toEqual(all);
    expect(await find({ ...filter, session_id: session })).toEqual([]);
    expect(await find({ ...filter, until: '2026-01-02T00:00:00Z' })).toEqual([]);
  });

  test.each([
    ['email', ['', 'ada', 'ada@example.com,bob@example.com']],
    ['session_id', ['', 'x', '0197a1b0']],
    ['request_id', ['', 'a b', "'; --", 'x'.repeat(129), 'a%00']],
    [
      'ip',
      [
        '',
        'x',
        '192.0.2.0/33',
        '192.0.2',
        '192.0.2.0/',
        '192.0.2.0/24/1',
        '2001:db8::/129',
        'fe80::1%eth0',
        '010.0.0.1',
      ],
    ],
    ['since', ['', 'yesterday', '2026-11-01', '1969-12-31T23:59:59Z', '9999-01-01T00:00:00Z', '2026-02-30T00:00:00Z']],
    ['until', ['1700000000', '2026-11-01T00:00:00', '2026-11-01 00:00:00Z', '2026-11-01T00:00:00 01:00']],
  ])('%s must be well-formed', async (name, values) => {
    for (const value of values) {
      const query = new URLSearchParams({ [name]: value });
      const { status, body } = await proxied.get(`/admin/audit?${query.toString()}`, token);
      expect([value, status, body.errors?.map(({ path }: { path: string }) => path)]).toEqual([value, 400, [name]]);
    }
  });

  test('until must be later than since', async () => {
    const times = 'since=2026-11-01T00:00:00Z&until=2026-11-01T00:00:00Z';
    const { status, body } = await proxied.get(`/admin/audit?${times}`, token);
    expect([status, body.errors]).toEqual([400, [{ path: 'until', message: 'must be later than since' }]]);
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
    middleTime: Date;
  }
  const queries: [page: string, query: (ids: Ids) => Partial<AuditEventQuery>][] = [
    ['the first page', () => ({})],
    ['a page in the middle', ({ middle }) => ({ before: middle })],
    ['of one user', ({ userId }) => ({ userId })],
    ['of one type', () => ({ type: 'rare' })],
    ['of one user and type', ({ userId }) => ({ userId, type: 'rare' })],
    ['of one session', ({ userId }) => ({ sessionId: userId as string as SessionId })],
    ['of one request', () => ({ requestId: 'request 7' })],
    ['of one request id that callers sent thousands of times', () => ({ requestId: 'constant' })],
    ['of one email address', () => ({ email: 'rare@example.com' as EmailAddress })],
    ['of a frequent email address', () => ({ email: 'frequent@example.com' as EmailAddress })],
    ['from one address', () => ({ network: addressRangeOf('198.51.100.7') })],
    ['from a frequent address', () => ({ network: addressRangeOf('192.0.2.1') })],
    ['from a rare network', () => ({ network: addressRangeOf('198.51.100.0/24') })],
    ['from a frequent network', () => ({ network: addressRangeOf('192.0.0.0/16') })],
    ['since a time', ({ middleTime }) => ({ since: middleTime })],
    ['of a rare type until a time', ({ middleTime }) => ({ type: 'rare', until: middleTime })],
    [
      'of an email address in a time range',
      ({ middleTime }) => ({
        email: 'rare@example.com' as EmailAddress,
        since: new Date(middleTime.getTime() - 1000),
        until: new Date(middleTime.getTime() + 1000),
      }),
    ],
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
    const time = `now() - n * interval '7 ms'`;
    const id = `(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - (n * 7)), 12, '0') ||
                 substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid`;
    await costs.sql.query(
      `INSERT INTO audit_events (id, occurred_at, type, outcome, user_id, session_id, request_id)
       SELECT ${id}, ${time}, CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'login' END, 'success', gen_random_uuid(), gen_random_uuid(),
              gen_random_uuid()
       FROM generate_series(1, $1::int) AS n`,
      [count],
    );
    await costs.sql.query(
      `INSERT INTO audit_events (id, occurred_at, type, outcome, user_id, session_id, request_id)
       SELECT ${id}, ${time}, CASE WHEN n % 2 = 0 THEN 'rare' ELSE 'login' END, 'success', $1::uuid, $1::uuid, 'request ' || n
       FROM generate_series(1, 30) AS n`,
      [userId],
    );
    await costs.sql.query(
      `INSERT INTO audit_personal_data (event_id, ip, email, client_request_id)
       SELECT id, CASE WHEN request_id LIKE 'request %' THEN '198.51.100.7' ELSE '192.0.2.1' END,
              CASE WHEN request_id LIKE 'request %' THEN 'rare@example.com' ELSE 'frequent@example.com' END, 'constant'
       FROM audit_events ON CONFLICT DO NOTHING`,
    );
    await costs.sql.query('VACUUM ANALYZE audit_events, audit_personal_data');
  };

  test('is bounded, however long the trail is', async () => {
    const measure = async () => {
      const { rows } = await costs.sql.query<{ id: EventId; time: Date }>(
        'SELECT id, occurred_at AS time FROM audit_events ORDER BY id DESC OFFSET 100000 LIMIT 1',
      );
      const { id: middle, time: middleTime } = rows[0] ?? { id: minId<EventId>(0), time: new Date(0) };
      const ids = { userId, middle, middleTime };
      const measured: [page: string, buffers: number][] = [];
      const connection = await costs.sql.connect();
      await connection.query('SET plan_cache_mode = force_custom_plan'); // as planForParameters does
      for (const [page, query] of queries) {
        const statement = await statementOf((tx) =>
          findEvents(tx, { order: 'newest first', limit: 21, ...query(ids) }),
        );
        measured.push([page, (await costOf(connection, statement)).buffers]);
      }
      connection.release(true);
      return measured;
    };
    await fill(200_000);
    // Reading all events takes thousands of pages.
    for (const [name, pages] of await measure()) expect([name, pages, pages < 400]).toEqual([name, pages, true]);
  });
});
