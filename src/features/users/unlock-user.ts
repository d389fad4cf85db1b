import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { LiftLockout } from '../../core/users/check-password.ts';
import type { UserId } from '../../lib/ids.ts';
import { type ChangeUserDeps, authorizeTargetUser } from './target-user.ts';

export interface UnlockUserDeps extends ChangeUserDeps {
  liftLockout: LiftLockout;
}

/** Ends the lockout of a user's email address. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeUnlockUser =
  ({ db, authorize, audit, liftLockout }: UnlockUserDeps) =>
  (principal: Principal, id: UserId, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['users:write'], target: id });
      const { email } = await authorizeTargetUser(tx, admin, id);
      await liftLockout(tx, email);
      await audit.record(tx, request, { type: 'user.unlocked', actor: principal, userId: id });
    });
