import type { Principal } from '../../core/authorization/principal.ts';
import { EmailDisabled, TooManyEmails } from '../../core/email/email.errors.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { Conflict } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { UserId } from '../../lib/ids.ts';
import { type ChangeUserDeps, authorizeTargetUser } from './target-user.ts';

export interface SendPasswordResetDeps extends ChangeUserDeps {
  outbox: Outbox;
}

/**
 * Emails a user a link to set a new password. The administrator never sees the link.
 * @throws EmailDisabled, InvalidAccessToken, InsufficientScope, NotFound, Conflict, TooManyEmails
 */
export const makeSendPasswordReset =
  ({ db, authorize, audit, outbox }: SendPasswordResetDeps) =>
  async (principal: Principal, id: UserId, request: RequestInfo): Promise<void> => {
    if (!outbox.isEnabled) throw new EmailDisabled();
    await db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['users:write'], target: id });
      const { email, isActive } = await authorizeTargetUser(tx, admin, id);
      if (!isActive)
        throw new Conflict('The account is disabled, so no email is sent to it. Enable it first.', 'account disabled');
      if (!(await outbox.hasCapacity(tx, email, 'reset_password'))) throw new TooManyEmails();
      await outbox.enqueueRequest(tx, { kind: 'password_reset', email, source: request });
      await audit.record(tx, request, { type: 'user.reset_mailed', actor: principal, userId: id });
    });
  };
