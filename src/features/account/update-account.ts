import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import type { UserRow } from '../../core/users/user.ts';
import { findPrincipalUser } from '../../core/users/users.sql.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Database } from '../../platform/postgres.ts';

export interface UpdateAccountDeps {
  db: Database;
  authorize: Authorization['authorize'];
  clock: Clock;
}

/** Changes the display name of the signed-in user. @throws InvalidAccessToken */
export const makeUpdateAccount =
  ({ db, authorize, clock }: UpdateAccountDeps) =>
  (principal: Principal, displayName: string): Promise<UserRow> =>
    db.transaction(async (tx) => {
      await authorize(tx, principal);
      const data = { displayName, updatedAt: new Date(clock.nowMs()) };
      await tx.user.update({ where: { id: principal.userId }, data });
      return requireLive(await findPrincipalUser(tx, principal));
    });
