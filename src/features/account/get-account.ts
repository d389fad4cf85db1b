import type { Principal } from '../../core/authorization/principal.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import type { UserRow } from '../../core/users/user.ts';
import { findPrincipalUser } from '../../core/users/users.sql.ts';
import type { Database } from '../../platform/postgres.ts';

/** Returns the account of the logged-in user with one statement. @throws InvalidAccessToken */
export const makeGetAccount =
  ({ db }: { db: Database }) =>
  async (principal: Principal): Promise<UserRow> =>
    requireLive(await findPrincipalUser(db, principal));
