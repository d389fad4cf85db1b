import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, type RowOf, sql } from '../../platform/sql.ts';
import { isPrincipal, joinGrants } from './fragments.sql.ts';
import type { Principal } from './principal.ts';

const grantColumns = { roles: column.textArray, heldScopes: column.textArray };
const currentGrantColumns = {
  ...grantColumns,
  /** The database's clock in milliseconds since the epoch. `auth_time` and `expires_at` are compared with it. */
  nowMs: column.double,
};
export type Grants = RowOf<typeof grantColumns>;
export type CurrentGrants = RowOf<typeof currentGrantColumns>;

/** Locks users until the transaction ends, in the order of their ids so that no two transactions deadlock. SQL for the row locks. */
export const lockUsers = (tx: Transaction, ids: readonly UserId[]): Promise<number> =>
  execute(tx, sql`SELECT FROM users WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR NO KEY UPDATE`);

/**
 * Serializes all changes of roles, of their holders and of the holders' activity. Transactions lock users before grants. SQL for
 * the row lock.
 */
export const lockGrants = (tx: Transaction): Promise<number> =>
  execute(tx, sql`SELECT FROM roles WHERE name = 'admin' FOR NO KEY UPDATE`);

/** The current grants of a principal that is still live. SQL because the database's clock decides. */
export const findGrants = (tx: Transaction, principal: Principal): Promise<CurrentGrants | undefined> =>
  queryRow(
    tx,
    currentGrantColumns,
    sql`
    SELECT COALESCE(grants.roles, '{}') AS roles, COALESCE(grants.scopes, '{}') AS "heldScopes",
           FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::float8 AS "nowMs"
    FROM users AS u ${joinGrants} WHERE ${isPrincipal(principal)}`,
  );

/** The roles and scopes that a user holds. SQL for the set union. */
export const findGrantsOf = (tx: Transaction, userId: UserId): Promise<Grants | undefined> =>
  queryRow(
    tx,
    grantColumns,
    sql`
    SELECT COALESCE(grants.roles, '{}') AS roles, COALESCE(grants.scopes, '{}') AS "heldScopes"
    FROM users AS u ${joinGrants} WHERE u.id = ${userId}::uuid`,
  );
