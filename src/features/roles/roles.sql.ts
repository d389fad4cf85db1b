import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRow, type RowOf, sql } from '../../platform/sql.ts';

const columns = {
  name: column.text(),
  description: column.text(),
  scopes: column.textArray,
  builtIn: column.boolean,
  createdAt: column.timestamptz,
};
export type RoleRow = RowOf<typeof columns>;

/** Locks a role so that no user can receive it until the transaction ends. SQL for the row lock. */
export const lockRole = (tx: Transaction, name: string): Promise<RoleRow | undefined> =>
  queryRow(
    tx,
    columns,
    sql`
    SELECT name, description, scopes, built_in AS "builtIn", created_at AS "createdAt"
    FROM roles WHERE name = ${name} FOR UPDATE`,
  );

const grantsColumns = { roles: column.textArray, scopes: column.textArray };

/**
 * The roles and scopes of the holder of a role whose access tokens are the longest; undefined without holders. SQL for set-based
 * work: there can be as many holders as accounts, but they share few combinations of roles.
 */
export const findLargestGrantsOf = (tx: Transaction, role: string): Promise<RowOf<typeof grantsColumns> | undefined> =>
  queryRow(
    tx,
    grantsColumns,
    sql`
    SELECT combination.roles, grants.scopes
    FROM (
      SELECT DISTINCT array_agg(role ORDER BY role) AS roles FROM user_roles
      WHERE user_id IN (SELECT user_id FROM user_roles WHERE role = ${role}) GROUP BY user_id
    ) AS combination
    CROSS JOIN LATERAL (
      SELECT COALESCE(array_agg(DISTINCT scope ORDER BY scope), '{}') AS scopes
      FROM roles, unnest(roles.scopes) AS scope WHERE roles.name = ANY (combination.roles)
    ) AS grants
    ORDER BY length(array_to_json(combination.roles)::text) + length(array_to_string(grants.scopes, ' ')) DESC LIMIT 1`,
  );
