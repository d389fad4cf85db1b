import { EmailDisabled } from '../../core/email/email.errors.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { Database } from '../../platform/postgres.ts';

export interface ResendVerificationDeps {
  db: Database;
  outbox: Outbox;
}

/** Requests another verification email. Does the same work for every address. @throws EmailDisabled */
export const makeResendVerification =
  ({ db, outbox }: ResendVerificationDeps) =>
  async (email: EmailAddress, request: RequestInfo): Promise<void> => {
    if (!outbox.isEnabled) throw new EmailDisabled();
    await outbox.enqueueRequest(db, { kind: 'verification', email, source: request });
  };
