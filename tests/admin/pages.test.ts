import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { password, startApp, type TestApp } from '../harness.ts';
import { type Admin } from '../support/builders.ts';
import { createDatabase } from '../support/database.ts';
import { costOfPages, maxGrowth } from './user-pages.ts';

jest.setTimeout(120_000);

interface Page {
  users: { id: string; email: string; display_name: string; created_at: string }[];
  next_cursor: string | null;
}

const pageOf = async (app: TestApp, { token }: Admin, parameters: Record<string, string | number>) => {
  const search = new URLSearchParams(
    Object.entries(parameters).map(([name, value]): [string, string] => [name, String(value)]),
  );
  const { status, body } = await app.get(`/admin/users?${search.toString()}`, token);
  expect(status).toBe(200);
  return body as Page;
};

/** Reads every page of a list or search. `between` runs after each page. */
async function readPages(app: TestApp, admin: Admin, query?: string, limit = 7, between?: () => Promise<unknown>) {
  const pages: Page[] = [];
  for (let cursor: string | null | undefined; cursor !== null; cursor = pages.at(-1)?.next_cursor) {
    pages.push(await pageOf(app, admin, { limit, ...(query ? { query } : {}), ...(cursor ? { cursor } : {}) }));
    await between?.();
    if (pages.length > 200) throw new Error('the pages never end');
  }
  return pages;
}

async function walk(...args: Parameters<typeof readPages>) {
  return (await readPages(...args)).flatMap(({ users }) => users);
}

describe('pages of accounts', () => {
  let app: TestApp;
  let admin: Admin;
  const register = async (email: string, name: string) => {
    const { body, status } = await app.post('/register', { email, password, display_name: name });
    expect(status).toBe(201);
    return body.user as Page['users'][number];
  };
  beforeAll(async () => {
    app = await startApp();
    admin = await app.admin();
    await register('zoe@example.com', 'Anna Zwei');
    await register('anna@example.com', 'Zacharias');
    await register('annabel@example.com', 'Anna Bel');
    await register('percent@example.com', '100% Ada');
    await register('under_score@example.com', 'a_b\\c');
    await register('underxscore@example.com', 'axb');
    await register('emile@example.com', 'Émile Zola');
    for (let n = 10; n < 40; n += 1) await register(`many.${n}@example.com`, `Many ${n % 3} ${n}`);
  });
  afterAll(() => app.close());

  const emailsOf = async (query: string) => (await walk(app, admin, query)).map(({ email }) => email);

  test('contain every account once, newest first, for any limit', async () => {
    const all = await walk(app, admin);
    const rows = (await app.db.select<{ id: string }>('users')).toReversed();
    expect(all.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    expect((await walk(app, admin, undefined, 1)).map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    expect((await pageOf(app, admin, { limit: 100 })).users).toHaveLength(rows.length);
    expect((await pageOf(app, admin, {})).users).toHaveLength(20);
  });

  test('neither skip nor repeat accounts while others are created and deleted', async () => {
    const before = (await walk(app, admin, 'many')).map(({ id }) => id);
    let created = 0;
    const between = async () => {
      await register(`many.0${(created += 1)}@example.com`, `Many newcomer ${created}`);
      const { id } = await register(`passing.${created}@example.com`, 'Passing');
      await app.call('delete', `/admin/users/${id}`, { token: admin.token });
    };
    const during = (await walk(app, admin, 'many', 3, between)).map(({ id }) => id);
    expect(new Set(during).size).toBe(during.length);
    expect(before.filter((id) => !during.includes(id))).toEqual([]);
    const all = (await walk(app, admin, undefined, 5, between)).map(({ id }) => id);
    expect(new Set(all).size).toBe(all.length);
  });

  test('of a search list matches by email address, then matches only by name, each once', async () => {
    expect(await emailsOf('anna')).toEqual(['anna@example.com', 'annabel@example.com', 'zoe@example.com']);
    expect(await emailsOf('ANNA')).toEqual(await emailsOf('anna'));
    expect(await emailsOf('anna z')).toEqual(['zoe@example.com']);
    expect(await emailsOf('ÉMILE')).toEqual(await emailsOf('émile'));
    expect(await emailsOf('émile')).toEqual(['emile@example.com']);
    expect(await emailsOf('unknown')).toEqual([]);
  });

  test.each([1, 2, 3, 7, 29, 30, 31, 100])('of a search with limit %s are full, except the last', async (limit) => {
    for (const query of ['many', 'anna', 'a', 'm']) {
      const pages = await readPages(app, admin, query, limit);
      const emails = pages.flatMap(({ users }) => users.map(({ email }) => email));
      expect(new Set(emails).size).toBe(emails.length);
      expect(pages.slice(0, -1).map(({ users }) => users.length)).toEqual(pages.slice(1).map(() => limit));
      const { rows } = await app.sql.query<{ email: string }>(
        `SELECT email FROM users WHERE starts_with(email, $1) OR starts_with(lower(display_name), $1)
         ORDER BY NOT starts_with(email, $1), CASE WHEN starts_with(email, $1) THEN email ELSE lower(display_name) END COLLATE "C", id`,
        [query],
      );
      expect(rows.length).toBeGreaterThan(0);
      expect(emails).toEqual(rows.map(({ email }) => email));
    }
  });

  test.each<[query: string, emails: string[]]>([
    ['%', []],
    ['_', []],
    ['\\', []],
    ['percent%', []],
    ['perc%', []],
    ['100%', ['percent@example.com']],
    ['under_', ['under_score@example.com']],
    ['a_b\\', ['under_score@example.com']],
    ["' OR '1'='1", []],
    ['*', []],
    ['\u{10ffff}', []],
    ['x'.repeat(254), []],
  ])('a search treats %j as literal text', async (query, emails) => {
    expect(await emailsOf(query)).toEqual(emails);
  });

  test.each<[title: string, search: string, path: string]>([
    ['an empty query', 'query=', 'query'],
    ['a query of 255 characters', `query=${'x'.repeat(255)}`, 'query'],
    ['a query of 1000 characters', `query=${'%25'.repeat(1000)}`, 'query'],
    ['NUL', 'query=a%00b', 'query'],
    ['limit 0', 'limit=0', 'limit'],
    ['limit 101', 'limit=101', 'limit'],
    ['a cursor that is not JSON', 'cursor=abc', 'cursor'],
    ['a cursor with a NUL', `cursor=${Buffer.from('{"by":"email","key":"\\u0000"}').toString('base64url')}`, 'cursor'],
    [
      'a cursor with an unknown member',
      `cursor=${Buffer.from('{"by":"email","key":"a","x":1}').toString('base64url')}`,
      'cursor',
    ],
    ['a long cursor', `cursor=${'A'.repeat(2001)}`, 'cursor'],
  ])('%s returns 400', async (_title, search, path) => {
    const { body } = await app.get(`/admin/users?${search}`, admin.token);
    expect(body).toMatchObject({ status: 400, code: 'validation_failed', errors: [{ path }] });
  });

  test('a cursor of another list returns 400', async () => {
    const all = await pageOf(app, admin, { limit: 2 });
    const many = await pageOf(app, admin, { limit: 2, query: 'many' });
    for (const search of [`query=many&cursor=${all.next_cursor}`, `cursor=${many.next_cursor}`])
      expect((await app.get(`/admin/users?${search}`, admin.token)).body.code).toBe('validation_failed');
  });
});

test('a page reads no more with ten times as many accounts', async () => {
  const measure = async (count: number) => {
    const database = await createDatabase();
    const client = new pg.Client(database.url);
    await client.connect();
    const costs = await costOfPages(client, count);
    await client.end();
    await database.drop();
    return costs;
  };
  const [few, many] = [await measure(10_000), await measure(100_000)];
  expect(few.length).toBeGreaterThan(5);
  for (const [index, { page, buffers }] of few.entries()) {
    expect(buffers).toBeGreaterThan(0);
    expect([page, (many[index]?.buffers ?? Infinity) <= buffers * maxGrowth]).toEqual([page, true]);
  }
});
