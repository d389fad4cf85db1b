import { isLastActiveAdmin } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import type { UserId } from '../../lib/ids.ts';
import { type ChangeUserDeps, authorizeTargetUser } from './target-user.ts';

/**
 * Deletes a user with everything that belongs to the account. The audit trail keeps ids.
 * @throws InvalidAccessToken, InsufficientScope, NotFound, LastAdmin
 */
export const makeDeleteUser =
  ({ db, authorize, audit }: ChangeUserDeps) =>
  (principal: Principal, id: UserId, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['users:write'], target: id, lockGrants: true });
      await authorizeTargetUser(tx, admin, id);
      if (await isLastActiveAdmin(tx, id)) throw new LastAdmin();
      await tx.user.delete({ where: { id } });
      await audit.record(tx, request, { type: 'user.deleted', actor: principal, userId: id });
    });
