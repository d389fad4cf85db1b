import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRow, type RowOf, sql, type SqlFragment } from '../../platform/sql.ts';
import { isPrincipal, joinGrants } from '../authorization/fragments.sql.ts';
import type { Principal } from '../authorization/principal.ts';
import type { EmailAddress } from './email-address.ts';

/** The declared columns of `UserRow`. */
export const userColumns = {
  id: column.uuid<UserId>(),
  email: column.text(),
  emailVerified: column.boolean,
  displayName: column.text(),
  roles: column.textArray,
  heldScopes: column.textArray,
  createdAt: column.timestamptz,
  updatedAt: column.timestamptz,
};

/** The select list of `userColumns`, for user `u` joined with its `grants`. */
export const selectUser: SqlFragment = sql`
  u.id, u.email, u.email_verified AS "emailVerified", u.display_name AS "displayName",
  COALESCE(grants.roles, '{}') AS roles, COALESCE(grants.scopes, '{}') AS "heldScopes",
  u.created_at AS "createdAt", u.updated_at AS "updatedAt"`;

/** The user of a live principal. SQL for the set union of scopes and the database's clock, in one statement. */
export const findPrincipalUser = (tx: Transaction, principal: Principal) =>
  queryRow(tx, userColumns, sql`SELECT ${selectUser} FROM users AS u ${joinGrants} WHERE ${isPrincipal(principal)}`);

const passwordColumns = {
  email: column.text<EmailAddress>(),
  displayName: column.text(),
  passwordHash: column.text(),
};
export type PasswordAccount = RowOf<typeof passwordColumns>;

/** The password hash of a live principal's user. SQL for the database's clock. */
export const findPrincipalPassword = (tx: Transaction, principal: Principal): Promise<PasswordAccount | undefined> =>
  queryRow(
    tx,
    passwordColumns,
    sql`
    SELECT u.email, u.display_name AS "displayName", u.password_hash AS "passwordHash"
    FROM users AS u WHERE ${isPrincipal(principal)}`,
  );

const credentialColumns = {
  id: column.uuid<UserId>(),
  passwordHash: column.text(),
  isActive: column.boolean,
  emailVerified: column.boolean,
  heldScopes: column.textArray,
};
export type Credentials = RowOf<typeof credentialColumns>;

/** The account that a password login verifies. SQL for the set union of scopes. */
export const findCredentials = (tx: Transaction, email: EmailAddress): Promise<Credentials | undefined> =>
  queryRow(
    tx,
    credentialColumns,
    sql`
    SELECT u.id, u.password_hash AS "passwordHash", u.is_active AS "isActive",
           u.email_verified AS "emailVerified", COALESCE(grants.scopes, '{}') AS "heldScopes"
    FROM users AS u ${joinGrants}
    WHERE u.email = ${email}`,
  );

const userByEmailColumns = {
  id: column.uuid<UserId>(),
  email: column.text<EmailAddress>(),
  displayName: column.text(),
  emailVerified: column.boolean,
  isActive: column.boolean,
};
export type UserByEmail = RowOf<typeof userByEmailColumns>;

/** Locks the user who has an address until the transaction ends. SQL for the row lock. */
export const lockUserByEmail = (tx: Transaction, email: EmailAddress): Promise<UserByEmail | undefined> =>
  queryRow(
    tx,
    userByEmailColumns,
    sql`
    SELECT id, email, display_name AS "displayName", email_verified AS "emailVerified", is_active AS "isActive"
    FROM users WHERE email = ${email} FOR NO KEY UPDATE`,
  );
