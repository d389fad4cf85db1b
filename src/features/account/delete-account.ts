import type { Audit } from '../../core/audit/audit.ts';
import { type Authorization, isLastActiveAdmin } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { type ConfirmPassword, passwordWasChanged } from '../../core/users/confirm-password.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import type { Database } from '../../platform/postgres.ts';

export interface DeleteAccountDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
  confirmPassword: ConfirmPassword;
}

/**
 * Deletes the account of the logged-in user with everything that belongs to it. The audit trail keeps ids.
 * @throws InvalidAccessToken, InvalidCredentials, AccountLocked, LastAdmin, Overloaded
 */
export const makeDeleteAccount =
  ({ db, authorize, audit, confirmPassword }: DeleteAccountDeps) =>
  async (principal: Principal, currentPassword: string, request: RequestInfo): Promise<void> => {
    const { passwordHash } = await confirmPassword(principal, currentPassword, request);
    await db.transaction(async (tx) => {
      const { userId } = principal;
      await authorize(tx, principal);
      if (await isLastActiveAdmin(tx, userId)) throw new LastAdmin();
      const deleted = await tx.user.deleteMany({ where: { id: userId, passwordHash } });
      if (deleted.count === 0) throw passwordWasChanged();
      await audit.record(tx, request, { type: 'account.deleted', actor: principal, userId });
    });
  };
