import type { Audit } from '../../core/audit/audit.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import type { TokenHolder } from '../../core/one-time-tokens/one-time-tokens.sql.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { Transaction } from '../../platform/postgres.ts';

export interface VerifyEmailDeps {
  oneTimeTokens: OneTimeTokens;
  audit: Audit;
  /** Completes an email change, because its link leads to the same page. False if the address is taken by now. */
  confirmEmailChange: (tx: Transaction, holder: TokenHolder, request: RequestInfo) => Promise<boolean>;
}

/** Verifies the email address that a token was sent to. @throws InvalidToken */
export const makeVerifyEmail =
  ({ oneTimeTokens, audit, confirmEmailChange }: VerifyEmailDeps) =>
  (token: string, request: RequestInfo): Promise<void> =>
    oneTimeTokens.spend(token, ['verification', 'email_change'], async (tx, holder) => {
      const { userId, email, purpose, nowMs } = holder;
      request.annotate({ userId });
      if (purpose === 'email_change') return confirmEmailChange(tx, holder, request);
      const verified = await tx.user.updateMany({
        where: { id: userId, email },
        data: { emailVerified: true, updatedAt: new Date(nowMs) },
      });
      if (verified.count === 0) return false;
      await audit.record(tx, request, { type: 'email.verified', actor: { userId }, userId });
      return true;
    });
