import { apiKeysNotice, revokeApiKeysOf } from '../../core/api-keys/api-keys.ts';
import type { Audit } from '../../core/audit/audit.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import { invalidateOverriddenTokens } from '../../core/one-time-tokens/one-time-tokens.sql.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.sql.ts';
import { createUnusableHash } from '../../core/users/new-password.ts';

export interface UndoEmailChangeDeps {
  oneTimeTokens: OneTimeTokens;
  outbox: Outbox;
  audit: Audit;
}

/**
 * Restores the address that the token was sent to. The person who requested the change may know the password, so all access is
 * revoked until the owner of the address sets a new password. @throws InvalidToken
 */
export const makeUndoEmailChange =
  ({ oneTimeTokens, outbox, audit }: UndoEmailChangeDeps) =>
  (token: string, request: RequestInfo): Promise<void> =>
    oneTimeTokens.spend(token, ['email_undo'], async (tx, holder) => {
      const { userId, email, displayName: name, nowMs } = holder;
      request.annotate({ userId });
      const data = { email, emailVerified: true, passwordHash: createUnusableHash(), updatedAt: new Date(nowMs) };
      await tx.user.update({ where: { id: userId }, data });
      const reason = 'email_change_undone';
      await revokeSessionsOf(tx, userId, reason);
      const keys = await revokeApiKeysOf(tx, audit, request, { userId, reason, actor: { userId } });
      await invalidateOverriddenTokens(tx, holder);
      const resetToken = await oneTimeTokens.issue(tx, userId, 'password_reset', email);
      const apiKeys = apiKeysNotice(keys, true);
      await outbox.enqueue(tx, userId, { kind: 'email_change_undone', to: email, name, token: resetToken, apiKeys });
      await audit.record(tx, request, { type: 'email.change_undone', actor: { userId }, userId });
      return true;
    });
