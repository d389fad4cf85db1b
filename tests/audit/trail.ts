// The audit trail in the database, its partitions, and an account that can read it.
import type pg from 'pg';
import type { TestApp } from '../harness.ts';
import type { Admin } from '../support/builders.ts';

export interface EventRow {
  id: string;
  type: string;
  outcome: string;
  reason: string | null;
  actor_id: string | null;
  user_id: string | null;
  session_id: string | null;
}

/** The first day of the month that is `offset` months from the current one. */
export function monthAt(offset: number): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1));
}

export const partitionOf = (month: Date): string => `audit_events_${month.toISOString().slice(0, 7).replace('-', '')}`;

export const partitionsOf = async (sql: pg.Pool): Promise<string[]> => {
  const { rows } = await sql.query<{ name: string }>(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'audit_events'::regclass ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
};

/** Replaces the current month's partition, which contains everything before, by one partition for each month since `offset`. */
export async function createPartitionsSince(sql: pg.Pool, offset: number): Promise<void> {
  await sql.query(`DROP TABLE ${partitionOf(monthAt(0))}`);
  for (let month = offset; month <= 0; month += 1)
    await sql.query('SELECT audit_open_month($1::date)', [monthAt(month).toISOString().slice(0, 10)]);
}

/** Inserts an event of that time with personal data, as a process does, and returns its id. `at` is the time of the id. */
export async function addEvent(
  sql: pg.Pool,
  at: Date,
  type = 'login',
  ip = '192.0.2.1',
  occurredAt = at,
): Promise<string> {
  const { rows } = await sql.query<{ id: string }>(
    `WITH event AS (
       INSERT INTO audit_events (id, occurred_at, type, outcome)
       VALUES ((left(lpad(to_hex($1::bigint), 12, '0'), 12) || substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid,
               $4, $2, 'success') RETURNING id)
     INSERT INTO audit_personal_data (event_id, ip) SELECT id, $3 FROM event RETURNING event_id AS id`,
    [at.getTime(), type, ip, occurredAt],
  );
  return rows[0]?.id ?? '';
}

export const eventsOf = async (sql: pg.Pool, condition: string, ...values: unknown[]): Promise<EventRow[]> =>
  (await sql.query<EventRow>(`SELECT * FROM audit_events WHERE ${condition} ORDER BY id`, values)).rows;

/** Waits up to two seconds for `count` rows that are written after the response. */
export async function eventually<Row>(find: () => Promise<Row[]>, count = 1): Promise<Row[]> {
  for (let tries = 0; tries < 100; tries += 1) {
    const rows = await find();
    if (rows.length >= count) return rows;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return find();
}

/** Creates an account that can read the trail, and logs it in. */
export const newAuditor = (app: TestApp): Promise<Admin> => app.admin({ scope: 'audit:read profile' });
