import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { UserRow } from '../../core/users/user.ts';
import type { Database } from '../../platform/postgres.ts';

export interface UpdateAccountDeps {
  db: Database;
  authorize: Authorization['authorize'];
}

/** Changes the display name of the logged-in user. @throws InvalidAccessToken */
export const makeUpdateAccount =
  ({ db, authorize }: UpdateAccountDeps) =>
  (principal: Principal, displayName: string): Promise<UserRow> =>
    db.transaction(async (tx) => {
      const { userId, roles, heldScopes, nowMs } = await authorize(tx, principal);
      const { email, emailVerified, createdAt, updatedAt } = await tx.user.update({
        where: { id: userId },
        data: { displayName, updatedAt: new Date(nowMs) },
      });
      return { id: userId, email, emailVerified, displayName, roles, heldScopes, createdAt, updatedAt };
    });
