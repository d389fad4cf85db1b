import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { password } from '../harness.ts';
import { createDatabase } from '../support/database.ts';
import { costOfPages, maxGrowth } from './user-pages.ts';
import { type Admin, type AdminWorld, startAdminWorld } from './world.ts';

jest.setTimeout(120_000);

interface Page {
  users: { id: string; email: string; display_name: string; created_at: string }[];
  next_cursor: string | null;
}

const pageOf = async ({ app }: AdminWorld, { token }: Admin, parameters: Record<string, string | number>) => {
  const asked = new URLSearchParams(
    Object.entries(parameters).map(([name, value]): [string, string] => [name, String(value)]),
  );
  const { status, body } = await app.get(`/admin/users?${asked.toString()}`, token);
  expect(status).toBe(200);
  return body as Page;
};

/** Every page of a search, one after the other; `between` is done after each. */
async function walk(world: AdminWorld, admin: Admin, query?: string, limit = 7, between?: () => Promise<unknown>) {
  const pages: Page[] = [];
  for (let cursor: string | null | undefined; cursor !== null; cursor = pages.at(-1)?.next_cursor) {
    pages.push(await pageOf(world, admin, { limit, ...(query ? { query } : {}), ...(cursor ? { cursor } : {}) }));
    await between?.();
    if (pages.length > 200) throw new Error('the pages never end');
  }
  return pages.flatMap(({ users }) => users);
}

describe('pages', () => {
  let world: AdminWorld;
  let admin: Admin;
  const make = async (email: string, name: string) => {
    const { body, status } = await world.app.post('/register', { email, password, display_name: name });
    expect(status).toBe(201);
    return body.user as Page['users'][number];
  };
  beforeAll(async () => {
    world = await startAdminWorld();
    admin = await world.admin();
    await make('zoe@example.com', 'Anna Zwei');
    await make('anna@example.com', 'Zacharias');
    await make('annabel@example.com', 'Anna Bel');
    await make('percent@example.com', '100% Ada');
    await make('under_score@example.com', 'a_b\\c');
    await make('underxscore@example.com', 'axb');
    await make('emile@example.com', 'Émile Zola');
    for (let n = 10; n < 40; n += 1) await make(`many.${n}@example.com`, `Many ${n % 3} ${n}`);
  });
  afterAll(() => world.close());

  const emailsOf = async (query: string) => (await walk(world, admin, query)).map(({ email }) => email);

  test('hold every account once, the newest first, however small they are', async () => {
    const all = await walk(world, admin);
    const { rows } = await world.app.sql.query('SELECT id FROM users ORDER BY id DESC');
    expect(all.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    expect((await walk(world, admin, undefined, 1)).map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    expect((await pageOf(world, admin, { limit: 100 })).users).toHaveLength(rows.length);
    expect((await pageOf(world, admin, {})).users).toHaveLength(20);
  });

  test('stay whole while accounts come and go', async () => {
    const before = (await walk(world, admin, 'many')).map(({ id }) => id);
    let late = 0;
    const between = async () => {
      await make(`many.0${(late += 1)}@example.com`, `Many newcomer ${late}`);
      const { id } = await make(`passing.${late}@example.com`, 'Passing');
      await world.app.call('delete', `/admin/users/${id}`, { token: admin.token });
    };
    const during = (await walk(world, admin, 'many', 3, between)).map(({ id }) => id);
    expect(new Set(during).size).toBe(during.length);
    expect(before.filter((id) => !during.includes(id))).toEqual([]);
    const all = (await walk(world, admin, undefined, 5, between)).map(({ id }) => id);
    expect(new Set(all).size).toBe(all.length);
  });

  test('of a search begin with addresses, and go on with names, each account once', async () => {
    expect(await emailsOf('anna')).toEqual(['anna@example.com', 'annabel@example.com', 'zoe@example.com']);
    expect(await emailsOf('ANNA')).toEqual(await emailsOf('anna'));
    expect(await emailsOf('anna z')).toEqual(['zoe@example.com']);
    expect(await emailsOf('ÉMILE')).toEqual(await emailsOf('émile'));
    expect(await emailsOf('émile')).toEqual(['emile@example.com']);
    expect(await emailsOf('nobody')).toEqual([]);
    for (const limit of [1, 2, 3]) {
      const found = await walk(world, admin, 'many', limit);
      expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
      expect(found.length).toBeGreaterThanOrEqual(30);
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
  ])('a search for %j takes it as it stands', async (query, emails) => {
    expect(await emailsOf(query)).toEqual(emails);
  });

  test.each<[what: string, search: string, path: string]>([
    ['an empty query', 'query=', 'query'],
    ['a query of 255 characters', `query=${'x'.repeat(255)}`, 'query'],
    ['a query of 1000 characters', `query=${'%25'.repeat(1000)}`, 'query'],
    ['NUL', 'query=a%00b', 'query'],
    ['no limit', 'limit=0', 'limit'],
    ['too high a limit', 'limit=101', 'limit'],
    ['a cursor of ours for nothing', 'cursor=abc', 'cursor'],
    ['a cursor with a NUL', `cursor=${Buffer.from('{"by":"email","key":"\\u0000"}').toString('base64url')}`, 'cursor'],
    [
      'a cursor with more in it',
      `cursor=${Buffer.from('{"by":"email","key":"a","x":1}').toString('base64url')}`,
      'cursor',
    ],
    ['a long cursor', `cursor=${'A'.repeat(2001)}`, 'cursor'],
  ])('%s is refused', async (_what, search, path) => {
    const { body } = await world.app.get(`/admin/users?${search}`, admin.token);
    expect(body).toMatchObject({ status: 400, code: 'validation_failed', errors: [{ path }] });
  });

  test('a cursor of another list is refused', async () => {
    const all = await pageOf(world, admin, { limit: 2 });
    const many = await pageOf(world, admin, { limit: 2, query: 'many' });
    for (const search of [`query=many&cursor=${all.next_cursor}`, `cursor=${many.next_cursor}`])
      expect((await world.app.get(`/admin/users?${search}`, admin.token)).body.code).toBe('validation_failed');
  });
});

test('the buffers that a page reads do not grow with the table: with ten times the accounts they are about the same', async () => {
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
