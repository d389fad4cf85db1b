import { apiKeysNotice } from '../../core/api-keys/api-keys.ts';
import { findLiveApiKeys } from '../../core/api-keys/api-keys.sql.ts';
import type { Audit } from '../../core/audit/audit.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { InvalidToken, lifetimeSeconds } from '../../core/one-time-tokens/one-time-token.ts';
import { type OneTimeTokens, invalidateTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import { extendUndoTokens, type TokenHolder } from '../../core/one-time-tokens/one-time-tokens.sql.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { isTaken } from './email-change.sql.ts';

export interface ConfirmEmailChangeDeps {
  outbox: Outbox;
  oneTimeTokens: OneTimeTokens;
  audit: Audit;
}

/**
 * Gives a user the address that the token was sent to. The owner of the old address can undo the change if the address had been
 * verified. Otherwise it may belong to a stranger: a link there would give away the account, and a reservation would keep its owner
 * from registering. False if another user has the new address by now. @throws InvalidToken
 */
export const makeConfirmEmailChange =
  ({ outbox, oneTimeTokens, audit }: ConfirmEmailChangeDeps) =>
  async (tx: Transaction, holder: TokenHolder, request: RequestInfo): Promise<boolean> => {
    const {
      userId,
      email: newEmail,
      currentEmail: oldEmail,
      isCurrentEmailVerified,
      displayName: name,
      nowMs,
    } = holder;
    if (await tx.user.findUnique({ where: { email: newEmail } })) return false;
    const data = { email: newEmail, emailVerified: true, updatedAt: new Date(nowMs) };
    await tx.user.update({ where: { id: userId }, data });
    // Only now is a concurrent change away from this address visible, which can still be undone. Nothing is written then.
    if (await isTaken(tx, newEmail, userId)) throw new InvalidToken('address reserved');
    await invalidateTokens(tx, userId);
    if (!isCurrentEmailVerified) {
      // Earlier releases, which may still run beside this one, issued undo links for such addresses.
      await tx.oneTimeToken.deleteMany({ where: { userId, purpose: 'email_undo', email: oldEmail } });
    } else {
      await extendUndoTokens(tx, userId, oldEmail, lifetimeSeconds.email_undo);
      const token = await oneTimeTokens.issue(tx, userId, 'email_undo', oldEmail, nowMs);
      const apiKeys = apiKeysNotice(await findLiveApiKeys(tx, userId), false);
      await outbox.enqueue(tx, userId, { kind: 'email_changed', to: oldEmail, name, token, newEmail, apiKeys });
    }
    await audit.record(tx, request, { type: 'email.changed', actor: { userId }, userId });
    return true;
  };
