import { EmailDisabled } from '../../core/email/email.errors.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { Database } from '../../platform/postgres.ts';

export interface RequestPasswordResetDeps {
  db: Database;
  outbox: Outbox;
}

/** Requests an email with a link to reset the password. Does the same work for every address. @throws EmailDisabled */
export const makeRequestPasswordReset =
  ({ db, outbox }: RequestPasswordResetDeps) =>
  async (email: EmailAddress, request: RequestInfo): Promise<void> => {
    if (!outbox.isEnabled) throw new EmailDisabled();
    await outbox.enqueueRequest(db, { kind: 'password_reset', email, source: request });
  };
