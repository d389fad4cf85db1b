import { apiKeysNotice, revokeApiKeysOf } from '../../core/api-keys/api-keys.ts';
import { findLiveApiKeys } from '../../core/api-keys/api-keys.sql.ts';
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
  /** Otherwise API keys keep working: a routine change must not stop the programs that use them. The notice lists them. */
  revokesApiKeys: boolean;
}

/**
 * Changes the password of the logged-in user, and revokes all other sessions and emailed links, and optionally all API keys.
 * @throws InvalidAccessToken, InvalidCredentials, AccountLocked, ValidationFailed, Overloaded
 */
export const makeChangePassword =
  ({ db, authorize, audit, outbox, confirmPassword, hashNewPassword }: ChangePasswordDeps) =>
  async (principal: Principal, change: PasswordChange, request: RequestInfo) => {
    const { currentPassword, newPassword, revokesApiKeys } = change;
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
      const reason = 'password_changed';
      await revokeSessionsOf(tx, userId, reason, sessionId);
      const keys = revokesApiKeys
        ? await revokeApiKeysOf(tx, audit, request, { userId, reason, actor: principal })
        : await findLiveApiKeys(tx, userId);
      await invalidateTokens(tx, userId);
      const to = EmailAddress.parse(user.email);
      const apiKeys = apiKeysNotice(keys, revokesApiKeys);
      // Anyone can register someone else's address and then change the password again and again.
      if (await outbox.hasCapacity(tx, to, 'password_changed'))
        await outbox.enqueue(tx, userId, { kind: 'password_changed', to, name: user.displayName, apiKeys });
      await audit.record(tx, request, { type: 'password.changed', actor: principal, userId });
    });
  };
