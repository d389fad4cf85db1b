import { recordEvent } from '../../core/audit/audit.store.ts';
import { revokeApiKeysOf } from '../../core/api-keys/api-keys.ts';
import type { ResolveEmailRequest, Outbox } from '../../core/email/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import { type Bearer, voidTokens } from '../../core/one-time-tokens/one-time-tokens.store.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.store.ts';
import type { LiftLockout } from '../../core/users/check-password.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { lockAddressee } from '../../core/users/users.store.ts';
import { type RequestInfo, sourceOf } from '../../core/request-info.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';

export const makePasswordResetStore = (db: Database, outbox: Outbox, liftLockout: LiftLockout) => ({
  ask: (email: EmailAddress, request: RequestInfo): Promise<void> =>
    outbox.ask(db, { kind: 'password_reset', email, request: sourceOf(request) }),

  /**
   * The new hash, the end of every session, API key and link, and the notice. Whoever has the link has the mailbox, so the address
   * is confirmed. Undefined where the account's address is no longer the one that the link was sent to.
   */
  async reset(tx: Transaction, bearer: Bearer, hash: string, request: RequestInfo): Promise<true | undefined> {
    const { userId, email, displayName: name } = bearer;
    const changed = await tx.$executeRaw`
      UPDATE users SET password_hash = ${hash}, email_verified = true, updated_at = clock_timestamp()
      WHERE id = ${userId}::uuid AND email = ${email}`;
    if (changed === 0) return undefined;
    await revokeSessionsOf(tx, userId, 'password_reset');
    await revokeApiKeysOf(tx, userId);
    await voidTokens(tx, userId);
    await liftLockout(tx, email);
    await recordEvent(tx, request, { type: 'password.reset', outcome: 'success', actorId: userId, userId });
    await outbox.post(tx, userId, { kind: 'password_reset', to: email, name });
    return true;
  },
});

export type PasswordResetStore = ReturnType<typeof makePasswordResetStore>;

/** Somebody forgot a password: a link goes to the account that has the address, if there is one. */
export const makeAnswerForgot =
  ({ outbox, oneTimeTokens }: { outbox: Outbox; oneTimeTokens: OneTimeTokens }): ResolveEmailRequest =>
  async (tx, { email, request }) => {
    const addressee = await lockAddressee(tx, email);
    if (!addressee?.isActive) return;
    const { id: userId, email: to, displayName: name } = addressee;
    if (!(await outbox.hasRoom(tx, to, 'reset_password'))) return;
    const token = await oneTimeTokens.issue(tx, userId, 'password_reset', to);
    await outbox.post(tx, userId, { kind: 'reset_password', to, name, token });
    await recordEvent(tx, request, { type: 'password.reset_asked', outcome: 'success', userId });
  };
