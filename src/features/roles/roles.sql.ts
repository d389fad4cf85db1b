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
