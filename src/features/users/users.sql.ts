// SQL because the roles and scopes of a user are a set union (`joinGrants`), and because the pages of a search are keyset pages over
// expressions.
import { joinGrants } from '../../core/authorization/fragments.sql.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { selectUser, userColumns } from '../../core/users/users.sql.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRow, queryRows, type RowOf, sql, type SqlFragment } from '../../platform/sql.ts';

const columns = {
  ...userColumns,
  email: column.text<EmailAddress>(),
  isActive: column.boolean,
  /** The display name as the search compares and sorts it. */
  foldedName: column.text(),
};
export type UserDetails = RowOf<typeof columns>;

const selectDetails = sql`${selectUser}, u.is_active AS "isActive", fold_name(u.display_name) AS "foldedName"`;

export const findUser = (tx: Transaction, id: UserId): Promise<UserDetails | undefined> =>
  queryRow(tx, columns, sql`SELECT ${selectDetails} FROM users AS u ${joinGrants} WHERE u.id = ${id}::uuid`);

/** Limits the users before it joins their grants. */
const findPage = (tx: Transaction, page: { where: SqlFragment; order: SqlFragment; limit: number }) =>
  queryRows(
    tx,
    columns,
    sql`
    SELECT ${selectDetails}
    FROM (SELECT * FROM users AS u WHERE ${page.where} ORDER BY ${page.order} LIMIT ${page.limit}) AS u ${joinGrants}
    ORDER BY ${page.order}`,
  );

/** Finds users, newest first, created before the user `before`. */
export const findNewestUsers = (tx: Transaction, before: UserId | undefined, limit: number): Promise<UserDetails[]> =>
  findPage(tx, { where: before ? sql`u.id < ${before}::uuid` : sql`true`, order: sql`u.id DESC`, limit });

// The expressions and the collation of the indexes, none of which depends on the collation of the database. Ranges instead of LIKE:
// the plan of a prepared statement does not depend on the pattern, so it could not use an index for LIKE.
const email = sql`u.email COLLATE "C"`;
const foldedName = sql`fold_name(u.display_name) COLLATE "C"`;
const foldedEmail = (prefix: string): SqlFragment => sql`lower(${prefix} COLLATE "C")`;
const startsWith = (text: SqlFragment, prefix: SqlFragment): SqlFragment =>
  sql`${text} >= ${prefix} AND ${text} < ${prefix} || chr(1114111)`;

/** Finds users whose email address starts with `prefix`, by email address, after the address `after`. */
export const findUsersByEmail = (
  tx: Transaction,
  prefix: string,
  after: string | undefined,
  limit: number,
): Promise<UserDetails[]> =>
  findPage(tx, {
    where: sql`${startsWith(email, foldedEmail(prefix))} ${after === undefined ? sql`` : sql`AND ${email} > ${after}`}`,
    order: email,
    limit,
  });

/**
 * Finds users whose name, but not whose email address, starts with `prefix`, by name. If most matching names belong to matching
 * addresses, it reads all of them: half a second for 200,000 users.
 */
export const findUsersByNameOnly = (
  tx: Transaction,
  prefix: string,
  after: { key: string; id: UserId } | undefined,
  limit: number,
): Promise<UserDetails[]> =>
  findPage(tx, {
    where: sql`${startsWith(foldedName, sql`fold_name(${prefix})`)} AND NOT starts_with(u.email, ${foldedEmail(prefix)})
      ${after ? sql`AND (${foldedName}, u.id) > (${after.key}, ${after.id}::uuid)` : sql``}`,
    order: sql`${foldedName}, u.id`,
    limit,
  });
