// Accounts written by SQL, so that there are many, and what a page of them reads: for a test and `bench/admin-pages.ts`.
import type pg from 'pg';
import { findEntries, type Place } from '../../src/features/users/user-pages.store.ts';
import type { SessionId, UserId } from '../../src/lib/ids.ts';
import { type Database } from '../../src/platform/postgres.ts';
import { sql, type SqlFragment } from '../../src/platform/sql.ts';

type Connection = Pick<pg.Client, 'query'>;

const nobody = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';
const principal = {
  userId: nobody as UserId,
  sessionId: nobody as SessionId,
  apiKeyId: undefined,
  authTime: 0,
  scopes: ['users:read'],
};
/** What is searched for, and where the last page ended. */
const searches: [name: string, query: string | undefined, after: Place | undefined][] = [
  ['all', undefined, undefined],
  ['all, deep', undefined, { by: 'id', id: '80000000-0000-0000-0000-000000000000' as UserId }],
  ['every address', 'person.', undefined],
  ['every address, deep', 'person.', { by: 'email', key: 'person.5' }],
  ['every name, deep', 'person', { by: 'name', key: 'person 5', id: nobody as UserId }],
  ['one', 'person.777@', undefined],
  ['by name only', 'émile 9', undefined],
  ['nobody', 'nobody', undefined],
];

interface Plan {
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
}

/** Of each page, and one more that tells whether there is another. */
const limit = 21;

/** The statement that the store would send, and its values. */
async function statementOf(query: string | undefined, after: Place | undefined): Promise<SqlFragment> {
  let sent: SqlFragment | undefined;
  const $queryRaw = async (texts: TemplateStringsArray, ...values: unknown[]) => {
    sent = sql(texts, ...(values as never[]));
    return [];
  };
  await findEntries({ $queryRaw } as unknown as Database, principal, { query, after, limit });
  if (!sent) throw new Error('the store sent nothing');
  return sent;
}

/** Planned without a look at the values, as a prepared statement is after a while. */
async function buffersOf(client: Connection, statement: SqlFragment, name: string) {
  await client.query('SET plan_cache_mode = force_generic_plan');
  const values = statement.values.map((value) => (typeof value === 'number' ? value : String(value)));
  const read = async () => {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan; 'Execution Time': number }] }>({
      name,
      text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement.text}`,
      values,
    });
    const [plan] = rows[0]?.['QUERY PLAN'] ?? [];
    if (!plan) throw new Error('no plan');
    const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': miss } = plan.Plan;
    return { buffers: hit + miss, ms: plan['Execution Time'] };
  };
  await read();
  return read();
}

/** An administrator with a live session, who asks. */
async function seedCaller(client: Connection): Promise<void> {
  await client.query(
    `INSERT INTO users (id, email, display_name, password_hash) VALUES ($1, 'admin@example.com', 'Admin', '!')`,
    [nobody],
  );
  await client.query(`INSERT INTO user_roles (user_id, role) VALUES ($1, 'user'), ($1, 'admin')`, [nobody]);
  await client.query(
    `INSERT INTO sessions (id, user_id, absolute_expires_at, auth_time, client_id, amr, ip, expires_at, token_hash,
                           turned_from, turned_at, turn_salts)
     VALUES ($1, $1, now() + interval '1 day', now(), 'first-party', '{pwd}', '', now() + interval '1 day', sha256('x'),
             '', '{}', '{}')`,
    [nobody],
  );
}

/** `count` accounts `person.<n>@example.com`, called `Person <n>`, every third of them `Émile <n>`. */
async function seedPeople(client: Connection, count: number): Promise<void> {
  await client.query(
    `INSERT INTO users (id, email, display_name, password_hash)
     SELECT gen_random_uuid(), 'person.' || n || '@example.com',
            CASE n % 3 WHEN 0 THEN 'Émile ' ELSE 'Person ' END || n, '!'
     FROM generate_series(1, $1::int) AS n`,
    [count],
  );
  await client.query(`INSERT INTO user_roles (user_id, role) SELECT id, 'user' FROM users ON CONFLICT DO NOTHING`);
  await client.query('VACUUM (ANALYZE) users');
  await client.query('VACUUM (ANALYZE) user_roles');
}

export interface Cost {
  search: string;
  buffers: number;
  ms: number;
}

/** Fills a migrated, empty database, and tells what each page reads. Wants a connection of its own. */
export async function costOfPages(client: Connection, count: number): Promise<Cost[]> {
  await seedCaller(client);
  await seedPeople(client, count);
  const costs: Cost[] = [];
  for (const [index, [search, query, after]] of searches.entries())
    costs.push({ search, ...(await buffersOf(client, await statementOf(query, after), `s${index}`)) });
  return costs;
}

/** A B-tree of many more rows has a level more, for each of the rows that are looked up in it. */
export const growthMax = 2;
