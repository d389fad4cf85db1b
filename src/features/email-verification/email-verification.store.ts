import { recordEvent } from '../../core/audit/audit.store.ts';
import type { ResolveEmailRequest, Outbox } from '../../core/email/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import type { Bearer } from '../../core/one-time-tokens/one-time-tokens.store.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { type Addressee, lockAddressee } from '../../core/users/users.store.ts';
import { type RequestInfo, sourceOf } from '../../core/request-info.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';

export const makeEmailVerificationStore = (db: Database, outbox: Outbox) => ({
  /** Undefined where the account's address is no longer the one that the token was sent to. */
  async confirm(tx: Transaction, { userId, email }: Bearer, request: RequestInfo): Promise<true | undefined> {
    const confirmed = await tx.$executeRaw`
      UPDATE users SET email_verified = true, updated_at = clock_timestamp()
      WHERE id = ${userId}::uuid AND email = ${email}`;
    if (confirmed === 0) return undefined;
    await recordEvent(tx, request, { type: 'email.verified', outcome: 'success', actorId: userId, userId });
    return true;
  },

  ask: (email: EmailAddress, request: RequestInfo): Promise<void> =>
    outbox.ask(db, { kind: 'verification', email, request: sourceOf(request) }),
});

export type EmailVerificationStore = ReturnType<typeof makeEmailVerificationStore>;

interface AnswerDeps {
  outbox: Outbox;
  oneTimeTokens: OneTimeTokens;
}

async function postLink(
  tx: Transaction,
  { outbox, oneTimeTokens }: AnswerDeps,
  addressee: Addressee,
): Promise<boolean> {
  const { id, email: to, displayName: name } = addressee;
  if (!(await outbox.hasRoom(tx, to, 'verify_email'))) return false;
  const token = await oneTimeTokens.issue(tx, id, 'verification', to);
  await outbox.post(tx, id, { kind: 'verify_email', to, name, token });
  return true;
}

/** Somebody asked for another link: it goes to an account that waits for one. */
export const makeAnswerVerification =
  (deps: AnswerDeps): ResolveEmailRequest =>
  async (tx, { email, request }) => {
    const addressee = await lockAddressee(tx, email);
    if (!addressee?.isActive || addressee.emailVerified || !(await postLink(tx, deps, addressee))) return;
    await recordEvent(tx, request, { type: 'email.verification_asked', outcome: 'success', userId: addressee.id });
  };

/**
 * Somebody registered: a new account gets its link. An address that had an account already gets a letter that says so,
 * with a link to set a password: so nobody can keep an address from its owner by registering it first.
 */
export const makeAnswerRegistration =
  (deps: AnswerDeps): ResolveEmailRequest =>
  async (tx, { email, userId }) => {
    const addressee = await lockAddressee(tx, email);
    if (!addressee?.isActive) return;
    const { id, email: to, displayName: name, emailVerified } = addressee;
    if (id === userId) return void (emailVerified || (await postLink(tx, deps, addressee)));
    if (!(await deps.outbox.hasRoom(tx, to, 'already_registered'))) return;
    const token = await deps.oneTimeTokens.issue(tx, id, 'password_reset', to);
    await deps.outbox.post(tx, id, { kind: 'already_registered', to, name, token });
  };
