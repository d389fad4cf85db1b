import { actorOf, recordEvent } from '../../core/audit/audit.store.ts';
import { revokeApiKeysOf } from '../../core/api-keys/api-keys.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { lifeSeconds, type OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import { InvalidToken } from '../../core/one-time-tokens/one-time-tokens.errors.ts';
import {
  type Bearer,
  isReserved,
  renewUndoLinks,
  voidOverruled,
  voidTokens,
} from '../../core/one-time-tokens/one-time-tokens.store.ts';
import { actAsCaller } from '../../core/authorization/caller.store.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.store.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { createUnusableHash } from '../../core/users/unusable-hash.ts';
import { addresseeOf, hasHash } from '../../core/users/users.store.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';

type AskOutcome = 'asked' | 'overtaken' | 'too_many';

/** Who has an address, or may still take it back, as far as `ours` is concerned. */
async function isTaken(tx: Transaction, email: EmailAddress, ours: UserId): Promise<boolean> {
  const [row] = await tx.$queryRaw<{ taken: boolean }[]>`
    SELECT EXISTS (SELECT FROM users WHERE email = ${email} AND id <> ${ours}::uuid)
        OR ${isReserved(email, ours)} AS taken`;
  return row?.taken ?? true;
}

export const makeEmailChangeStore = (db: Database, outbox: Outbox, oneTimeTokens: OneTimeTokens) => ({
  /**
   * A link to the new address, or, where that has an account, word to its owner; and a notice with the way back to the
   * old one. The caller cannot tell which. Undefined where the caller's session is dead.
   */
  ask: (
    principal: Principal,
    verified: string,
    newEmail: EmailAddress,
    request: RequestInfo,
  ): Promise<AskOutcome | undefined> =>
    actAsCaller(db, principal, async (tx) => {
      const { userId } = principal;
      if (!(await hasHash(tx, userId, verified))) return 'overtaken';
      const { email, displayName: name } = await addresseeOf(tx, userId);
      if (!(await outbox.hasRoom(tx, email, 'email_change_asked'))) return 'too_many';
      const kind = (await isTaken(tx, newEmail, userId)) ? 'address_in_use' : 'confirm_new_email';
      if (!(await outbox.hasRoom(tx, newEmail, kind))) return 'too_many';
      const token = await oneTimeTokens.issue(tx, userId, 'email_change', newEmail);
      await outbox.post(tx, userId, { kind, to: newEmail, name, ...(kind === 'confirm_new_email' ? { token } : {}) });
      const undo = await oneTimeTokens.issue(tx, userId, 'email_undo', email);
      await outbox.post(tx, userId, { kind: 'email_change_asked', to: email, name, token: undo, newEmail });
      const facts = { ...actorOf(principal), userId };
      await recordEvent(tx, request, { type: 'email.change_asked', outcome: 'success', ...facts });
      return 'asked';
    }),

  /** Gives the account its former address back, and nobody access until a new password is set. */
  async undo(tx: Transaction, bearer: Bearer, request: RequestInfo): Promise<true> {
    const { userId, email, displayName: name } = bearer;
    await tx.$executeRaw`
      UPDATE users SET email = ${email}, email_verified = true, password_hash = ${createUnusableHash()},
                       updated_at = clock_timestamp()
      WHERE id = ${userId}::uuid`;
    await revokeSessionsOf(tx, userId, 'email_change_undone');
    await revokeApiKeysOf(tx, userId);
    await voidOverruled(tx, bearer);
    await recordEvent(tx, request, { type: 'email.change_undone', outcome: 'success', actorId: userId, userId });
    const token = await oneTimeTokens.issue(tx, userId, 'password_reset', email);
    await outbox.post(tx, userId, { kind: 'email_change_undone', to: email, name, token });
    return true;
  },

  /** Makes the address that a token was sent to the account's; undefined where somebody else has it by now. */
  async confirm(tx: Transaction, bearer: Bearer, request: RequestInfo): Promise<true | undefined> {
    const { userId, email: newEmail, currentEmail, displayName: name } = bearer;
    const changed = await tx.$executeRaw`
      UPDATE users SET email = ${newEmail}, email_verified = true, updated_at = clock_timestamp()
      WHERE id = ${userId}::uuid AND NOT EXISTS (SELECT FROM users WHERE email = ${newEmail})`;
    if (changed === 0) return undefined;
    // Thrown, so that what was done is undone: it can be seen only now that the address is kept for another.
    if (await isTaken(tx, newEmail, userId)) throw new InvalidToken('address reserved');
    await voidTokens(tx, userId);
    await renewUndoLinks(tx, userId, currentEmail, lifeSeconds.email_undo);
    const undo = await oneTimeTokens.issue(tx, userId, 'email_undo', currentEmail);
    await outbox.post(tx, userId, { kind: 'email_changed', to: currentEmail, name, token: undo, newEmail });
    await recordEvent(tx, request, { type: 'email.changed', outcome: 'success', actorId: userId, userId });
    return true;
  },
});

export type EmailChangeStore = ReturnType<typeof makeEmailChangeStore>;
