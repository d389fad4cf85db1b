import { readAsAdministrator } from '../../core/authorization/administrator.store.ts';
import { joinGrants } from '../../core/authorization/fragments.sql.ts';
import type { UserRow } from '../../core/users/user.ts';
import { selectUser } from '../../core/users/users.sql.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { UserId } from '../../lib/ids.ts';
import { type Database } from '../../platform/postgres.ts';
import { sql, type SqlFragment } from '../../platform/sql.ts';

export interface AdminUserRow extends UserRow {
  isActive: boolean;
}

/** The columns of `AdminUserRow`, of user `u` joined with its `grants`. */
export const adminUserColumns: SqlFragment = sql`${selectUser}, u.is_active AS "isActive"`;

/** The last entry of a page: of all accounts, of those whose address matches, or of those whose name does. */
export type Place = { by: 'id'; id: UserId } | { by: 'email'; key: string } | { by: 'name'; key: string; id: UserId };

export interface EntryRow extends AdminUserRow {
  by: Place['by'];
  /** What it is sorted by, where it was searched for. */
  key: string;
  /** Whether a page before has it: its address matches as well as its name. */
  again: boolean;
}

const foldedName = sql`lower(u.display_name) COLLATE "C"`;
/** The last code point: what begins with a prefix sorts before the prefix with this after it. */
const last = sql`chr(1114111)`;

/** All accounts, the newest first. */
const everybody = (after: Place | undefined, limit: number): SqlFragment => sql`
  SELECT u.id, 'id' AS by, '' AS key, false AS again FROM users AS u
  ${after?.by === 'id' ? sql`WHERE u.id < ${after.id}::uuid` : sql``}
  ORDER BY u.id DESC LIMIT ${limit}`;

const byEmail = (prefix: string, after: Place | undefined, limit: number): SqlFragment => sql`
  SELECT u.id, 'email' AS by, u.email AS key, false AS again FROM users AS u
  WHERE u.email COLLATE "C" >= lower(${prefix}) AND u.email COLLATE "C" < lower(${prefix}) || ${last}
    ${after?.by === 'email' ? sql`AND u.email COLLATE "C" > ${after.key}` : sql``}
  ORDER BY u.email COLLATE "C" LIMIT ${limit}`;

const byName = (prefix: string, after: Place | undefined, limit: number): SqlFragment => sql`
  SELECT u.id, 'name' AS by, lower(u.display_name) AS key, starts_with(u.email, lower(${prefix})) AS again FROM users AS u
  WHERE ${foldedName} >= lower(${prefix}) AND ${foldedName} < lower(${prefix}) || ${last}
    ${after?.by === 'name' ? sql`AND (${foldedName}, u.id) > (${after.key}, ${after.id}::uuid)` : sql``}
  ORDER BY ${foldedName}, u.id LIMIT ${limit}`;

/**
 * Entries of two indexes, one after the other, each read only as far as the page goes. Ranges, as the plan of a prepared
 * statement cannot know where a pattern for LIKE begins.
 */
const found = (prefix: string, after: Place | undefined, limit: number): SqlFragment =>
  after?.by === 'name'
    ? byName(prefix, after, limit)
    : sql`
      SELECT * FROM (
        (${byEmail(prefix, after, limit)}) UNION ALL (${byName(prefix, undefined, limit)})
      ) AS either ORDER BY by, key COLLATE "C", id LIMIT ${limit}`;

/** Entries from below `after`; undefined where the caller is dead. @throws InsufficientScope */
export const findEntries = (
  db: Database,
  principal: Principal,
  { query, after, limit }: { query: string | undefined; after: Place | undefined; limit: number },
): Promise<EntryRow[] | undefined> => {
  const entries = query === undefined ? everybody(after, limit) : found(query, after, limit);
  const order = query === undefined ? sql`page.id DESC` : sql`page.by, page.key COLLATE "C", page.id`;
  const page = sql`
    SELECT entry.by, entry.key, entry.again, ${adminUserColumns}
    FROM (${entries}) AS entry JOIN users AS u ON u.id = entry.id ${joinGrants}`;
  return readAsAdministrator<EntryRow>(db, principal, 'users:read', { page, order });
};
