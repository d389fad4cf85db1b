// The cost of pages of GET /admin/users with many accounts: for a test and for `bench/admin-pages.ts`.
import type pg from 'pg';
import { findNewestUsers, findUsersByEmail, findUsersByNameOnly } from '../../src/features/users/users.sql.ts';
import type { UserId } from '../../src/lib/ids.ts';
import type { Transaction } from '../../src/platform/postgres.ts';
import { type Cost, costOf, statementOf } from '../support/statement-cost.ts';

const id = '80000000-0000-0000-0000-000000000000' as UserId;
/** A page, and one more row that shows whether there is a next page. */
const limit = 21;

export interface PageCost extends Cost {
  page: string;
}

type Query = (tx: Transaction) => Promise<unknown>;

const pages: [page: string, query: Query][] = [
  ['all users', (tx) => findNewestUsers(tx, undefined, limit)],
  ['all users, deep', (tx) => findNewestUsers(tx, id, limit)],
  ['every email address', (tx) => findUsersByEmail(tx, 'person.', undefined, limit)],
  ['every email address, deep', (tx) => findUsersByEmail(tx, 'person.', 'person.5', limit)],
  ['one email address', (tx) => findUsersByEmail(tx, 'person.777@', undefined, limit)],
  ['no email address', (tx) => findUsersByEmail(tx, 'unknown', undefined, limit)],
  ['names of other addresses', (tx) => findUsersByNameOnly(tx, 'émile', undefined, limit)],
  ['names of other addresses, deep', (tx) => findUsersByNameOnly(tx, 'émile', { key: 'émile 5', id }, limit)],
  ['few names', (tx) => findUsersByNameOnly(tx, 'émile 9', undefined, limit)],
  ['no name', (tx) => findUsersByNameOnly(tx, 'unknown', undefined, limit)],
];

/** Every name that matches belongs to an address that matches, so all of them are read in vain. */
const worstPage: [page: string, query: Query] = [
  'every name and address',
  (tx) => findUsersByNameOnly(tx, 'person', undefined, limit),
];

/** Inserts `count` accounts `person.<n>@example.com`, named `Person <n>` or, every third, `Émile <n>`. */
async function seedUsers(client: pg.Client, count: number): Promise<void> {
  await client.query(
    `INSERT INTO users (id, email, display_name, password_hash)
     SELECT gen_random_uuid(), 'person.' || n || '@example.com',
            CASE n % 3 WHEN 0 THEN 'Émile ' ELSE 'Person ' END || n, '!'
     FROM generate_series(1, $1::int) AS n`,
    [count],
  );
  await client.query(`INSERT INTO user_roles (user_id, role) SELECT id, 'user' FROM users`);
  await client.query('VACUUM (ANALYZE) users');
  await client.query('VACUUM (ANALYZE) user_roles');
}

async function costs(client: pg.Client, queries: readonly [page: string, query: Query][]): Promise<PageCost[]> {
  const measured: PageCost[] = [];
  for (const [page, query] of queries) measured.push({ page, ...(await costOf(client, await statementOf(query))) });
  return measured;
}

/** Fills a migrated, empty database and measures the pages whose cost must not depend on the number of accounts. */
export async function costOfPages(client: pg.Client, count: number): Promise<PageCost[]> {
  await seedUsers(client, count);
  return costs(client, pages);
}

/** Measures the page whose cost grows with the number of accounts, in the same database. */
export const costOfWorstPage = async (client: pg.Client): Promise<PageCost[]> => costs(client, [worstPage]);

/** A much larger B-tree has one more level, and each row of a page is looked up in several trees. */
export const maxGrowth = 2;
