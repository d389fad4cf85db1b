import type { Principal } from '../../core/authorization/principal.ts';
import { NotFound } from '../../core/errors.ts';
import type { UserId } from '../../lib/ids.ts';
import type { ReadUsersDeps } from './list-users.ts';
import { findUser, type UserDetails } from './users.sql.ts';

/** Returns a user. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeGetUser =
  ({ db, authorizeRead }: ReadUsersDeps) =>
  async (principal: Principal, id: UserId): Promise<UserDetails> => {
    await authorizeRead(db, principal, { scopes: ['users:read'] });
    const user = await findUser(db, id);
    if (!user) throw new NotFound('user');
    return user;
  };
