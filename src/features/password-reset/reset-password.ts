import { apiKeysNotice, revokeApiKeysOf } from '../../core/api-keys/api-keys.ts';
import type { Audit } from '../../core/audit/audit.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { type OneTimeTokens, invalidateTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.sql.ts';
import type { LiftLockout } from '../../core/users/check-password.ts';
import type { HashNewPassword } from '../../core/users/new-password.ts';

export interface ResetPasswordDeps {
  oneTimeTokens: OneTimeTokens;
  hashNewPassword: HashNewPassword;
  liftLockout: LiftLockout;
  outbox: Outbox;
  audit: Audit;
}

/**
 * Sets a new password and revokes all access that the old one gave. Verifies the email address, because the token was sent to it.
 * @throws InvalidToken; ValidationFailed and Overloaded, which leave the token valid
 */
export const makeResetPassword =
  ({ oneTimeTokens, hashNewPassword, liftLockout, outbox, audit }: ResetPasswordDeps) =>
  async ({ token, newPassword }: { token: string; newPassword: string }, request: RequestInfo): Promise<void> => {
    const { userId, currentEmail, displayName } = await oneTimeTokens.find(token, 'password_reset');
    request.annotate({ userId });
    const passwordHash = await hashNewPassword({
      field: 'new_password',
      password: newPassword,
      context: { email: currentEmail, displayName },
      request,
    });
    await oneTimeTokens.spend(token, ['password_reset'], async (tx, { email, displayName: name, nowMs }) => {
      const reset = await tx.user.updateMany({
        where: { id: userId, email },
        data: { passwordHash, emailVerified: true, updatedAt: new Date(nowMs) },
      });
      if (reset.count === 0) return false;
      const reason = 'password_reset';
      await revokeSessionsOf(tx, userId, reason);
      const keys = await revokeApiKeysOf(tx, audit, request, { userId, reason, actor: { userId } });
      await invalidateTokens(tx, userId);
      await liftLockout(tx, email);
      await outbox.enqueue(tx, userId, { kind: 'password_reset', to: email, name, apiKeys: apiKeysNotice(keys, true) });
      await audit.record(tx, request, { type: 'password.reset', actor: { userId }, userId });
      return true;
    });
  };
