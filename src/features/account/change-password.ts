import type { Audit } from '../../core/audit/audit.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { invalidateTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.sql.ts';
import { type ConfirmPassword, passwordWasChanged } from '../../core/users/confirm-password.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import type { HashNewPassword } from '../../core/users/new-password.ts';
import type { Database } from '../../platform/postgres.ts';

export interface ChangePasswordDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
  outbox: Outbox;
  confirmPassword: ConfirmPassword;
  hashNewPassword: HashNewPassword;
}

export interface PasswordChange {
  currentPassword: string;
  newPassword: string;
}

/**
 * Changes the password of the logged-in user, and revokes all other sessions and emailed links.
 * @throws InvalidAccessToken, InvalidCredentials, AccountLocked, ValidationFailed, Overloaded
 */
export const makeChangePassword =
  ({ db, authorize, audit, outbox, confirmPassword, hashNewPassword }: ChangePasswordDeps) =>
  async (principal: Principal, { currentPassword, newPassword }: PasswordChange, request: RequestInfo) => {
    const account = await confirmPassword(principal, currentPassword, request);
    const passwordHash = await hashNewPassword({
      field: 'new_password',
      password: newPassword,
      context: account,
      request,
    });
    await db.transaction(async (tx) => {
      const { userId, sessionId } = principal;
      await authorize(tx, principal);
      const [user] = await tx.user.updateManyAndReturn({
        where: { id: userId, passwordHash: account.passwordHash },
        data: { passwordHash },
        select: { email: true, displayName: true },
      });
      if (!user) throw passwordWasChanged();
      await revokeSessionsOf(tx, userId, 'password_changed', sessionId);
      await invalidateTokens(tx, userId);
      const to = EmailAddress.parse(user.email);
      // Anyone can register someone else's address and then change the password again and again.
      if (await outbox.hasCapacity(tx, to, 'password_changed'))
        await outbox.enqueue(tx, userId, { kind: 'password_changed', to, name: user.displayName });
      await audit.record(tx, request, { type: 'password.changed', actor: principal, userId });
    });
  };
