import type { Audit } from '../../core/audit/audit.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { EmailDisabled, TooManyEmails } from '../../core/email/email.errors.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { ValidationFailed } from '../../core/errors.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { type ConfirmPassword, passwordWasChanged } from '../../core/users/confirm-password.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import type { Database } from '../../platform/postgres.ts';
import { isTaken } from './email-change.sql.ts';

export interface RequestEmailChangeDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
  outbox: Outbox;
  oneTimeTokens: OneTimeTokens;
  confirmPassword: ConfirmPassword;
}

export interface EmailChangeRequest {
  newEmail: EmailAddress;
  currentPassword: string;
}

/**
 * Sends a confirmation link to the new address and a notice to the old one, with an undo link if that address is verified. If
 * another account has the new address, its owner receives a notice instead; the response does not reveal this.
 * @throws InvalidAccessToken, InvalidCredentials, AccountLocked, ValidationFailed, EmailDisabled, TooManyEmails, Overloaded
 */
export const makeRequestEmailChange =
  ({ db, authorize, audit, outbox, oneTimeTokens, confirmPassword }: RequestEmailChangeDeps) =>
  async (principal: Principal, { newEmail, currentPassword }: EmailChangeRequest, request: RequestInfo) => {
    if (!outbox.isEnabled) throw new EmailDisabled();
    const { email, passwordHash } = await confirmPassword(principal, currentPassword, request);
    if (email === newEmail)
      throw new ValidationFailed([{ path: 'new_email', message: 'is already the email address of your account' }]);
    await db.transaction(async (tx) => {
      const { nowMs } = await authorize(tx, principal);
      const { userId } = principal;
      const user = await tx.user.findUnique({ where: { id: userId, passwordHash } });
      if (!user) throw passwordWasChanged();
      const { displayName: name, emailVerified } = user;
      const oldEmail = EmailAddress.parse(user.email);
      const kind = (await isTaken(tx, newEmail, userId)) ? 'address_in_use' : 'confirm_new_email';
      if (!(await outbox.hasCapacity(tx, oldEmail, 'email_change_asked'))) throw new TooManyEmails();
      if (!(await outbox.hasCapacity(tx, newEmail, kind))) throw new TooManyEmails();
      // The token is issued in both cases, so that both do the same work.
      const token = await oneTimeTokens.issue(tx, userId, 'email_change', newEmail);
      await outbox.enqueue(tx, userId, { kind, to: newEmail, name, ...(kind === 'confirm_new_email' && { token }) });
      const undoToken = emailVerified
        ? await oneTimeTokens.issue(tx, userId, 'email_undo', oldEmail, nowMs)
        : undefined;
      const notice = { kind: 'email_change_asked', to: oldEmail, name, newEmail } as const;
      await outbox.enqueue(tx, userId, { ...notice, ...(undoToken && { token: undoToken }) });
      await audit.record(tx, request, { type: 'email.change_asked', actor: principal, userId });
    });
  };
