import type { Transaction } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import type { OneTimeTokens } from '../one-time-tokens/one-time-tokens.ts';
import { lockUserByEmail, type UserByEmail } from '../users/users.sql.ts';
import { type EmailRequest, isUrgentRequest } from './email-message.ts';
import type { Outbox } from './outbox.ts';

export interface ResolveEmailRequestDeps {
  outbox: Outbox;
  oneTimeTokens: OneTimeTokens;
  audit: Audit;
}

/** Looks up the recipient of a request and stores the email, if the address has an active account. */
export type ResolveEmailRequest = (tx: Transaction, request: EmailRequest) => Promise<void>;

export function makeResolveEmailRequest(deps: ResolveEmailRequestDeps): ResolveEmailRequest {
  const { outbox, oneTimeTokens, audit } = deps;

  /** Issues a token and stores the email with its link. False if the address has received too many. */
  const enqueueLink = async (
    tx: Transaction,
    { id, email: to, displayName: name }: UserByEmail,
    kind: 'verify_email' | 'reset_password' | 'already_registered',
    isUrgent: boolean,
  ): Promise<boolean> => {
    if (!(await outbox.hasCapacity(tx, to, kind, { isUrgent }))) return false;
    const purpose = kind === 'verify_email' ? 'verification' : 'password_reset';
    const token = await oneTimeTokens.issue(tx, id, purpose, to);
    await outbox.enqueue(tx, id, { kind, to, name, token }, { isUrgent });
    return true;
  };

  return async (tx, request) => {
    const { kind, email, userId, source } = request;
    const isUrgent = isUrgentRequest(request);
    const user = await lockUserByEmail(tx, email);
    if (!user?.isActive) return;
    if (kind === 'password_reset') {
      if (await enqueueLink(tx, user, 'reset_password', isUrgent))
        await audit.record(tx, source, { type: 'password.reset_asked', userId: user.id });
      return;
    }
    // Someone else's registration cannot keep an address from its owner, because the owner can set a password.
    if (kind === 'registration' && user.id !== userId)
      return void (await enqueueLink(tx, user, 'already_registered', isUrgent));
    if (user.emailVerified || !(await enqueueLink(tx, user, 'verify_email', isUrgent))) return;
    if (kind === 'verification') await audit.record(tx, source, { type: 'email.verification_asked', userId: user.id });
  };
}
