import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { ValidationFailed } from '../../core/errors.ts';
import { toPage } from '../../lib/page.ts';
import type { Database } from '../../platform/postgres.ts';
import type { UserPosition } from './user-cursor.ts';
import { findNewestUsers, findUsersByEmail, findUsersByNameOnly, type UserDetails } from './users.sql.ts';

export interface ReadUsersDeps {
  db: Database;
  authorizeRead: Authorization['authorizeRead'];
}

export interface UserSearch {
  /** Undefined lists all users. */
  query: string | undefined;
  after: UserPosition | undefined;
  limit: number;
}

export interface UserPage {
  users: UserDetails[];
  /** Undefined on the last page. */
  next: UserPosition | undefined;
}

/** Finds a page of a search. Names cost more than email addresses, so they are searched only if the addresses do not fill the page. */
async function search(db: Database, { query, after, limit }: UserSearch & { query: string }): Promise<UserPage> {
  const wanted = limit + 1;
  const byEmail =
    after?.by === 'name'
      ? []
      : await findUsersByEmail(db, query, after?.by === 'email' ? after.key : undefined, wanted);
  const byName =
    byEmail.length === wanted
      ? []
      : await findUsersByNameOnly(db, query, after?.by === 'name' ? after : undefined, wanted - byEmail.length);
  const { rows, next } = toPage([...byEmail, ...byName], limit);
  if (!next) return { users: rows, next };
  const { id, email, foldedName } = next;
  return {
    users: rows,
    next: byEmail.includes(next) ? { by: 'email', key: email } : { by: 'name', key: foldedName, id },
  };
}

/**
 * Lists users, newest first, or searches them: first those whose email address matches, then those that match only by name.
 * @throws InvalidAccessToken, InsufficientScope, ValidationFailed
 */
export const makeListUsers =
  ({ db, authorizeRead }: ReadUsersDeps) =>
  async (principal: Principal, { query, after, limit }: UserSearch): Promise<UserPage> => {
    await authorizeRead(db, principal, { scopes: ['users:read'] });
    if (after && (after.by === 'id') !== (query === undefined))
      throw new ValidationFailed([{ path: 'cursor', message: 'must be the `next_cursor` of the same list' }]);
    if (query !== undefined) return search(db, { query, after, limit });
    const users = await findNewestUsers(db, after?.by === 'id' ? after.id : undefined, limit + 1);
    const { rows, next } = toPage(users, limit);
    return { users: rows, next: next && { by: 'id', id: next.id } };
  };
