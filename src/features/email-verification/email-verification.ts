import { EmailDisabled } from '../../core/email/email.errors.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import type { Bearer } from '../../core/one-time-tokens/one-time-tokens.store.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { Transaction } from '../../platform/postgres.ts';
import type { EmailVerificationStore } from './email-verification.store.ts';

/** Makes the address that a token was sent to the account's; undefined where that cannot be. */
export type ConfirmNewAddress = (tx: Transaction, bearer: Bearer, request: RequestInfo) => Promise<true | undefined>;

export interface EmailVerificationDeps {
  store: EmailVerificationStore;
  oneTimeTokens: OneTimeTokens;
  outbox: Outbox;
  /** For tokens of a change of address, whose links lead to the same place. */
  confirmNewAddress: ConfirmNewAddress;
}

export interface EmailVerification {
  /** @throws InvalidToken */
  verify: (token: string, request: RequestInfo) => Promise<void>;
  /** Does the same work for every address. @throws MailDisabled */
  resend: (email: EmailAddress, request: RequestInfo) => Promise<void>;
}

export const makeEmailVerification = (deps: EmailVerificationDeps): EmailVerification => {
  const { store, oneTimeTokens, outbox, confirmNewAddress } = deps;
  return {
    async verify(token, request) {
      await oneTimeTokens.spend(token, ['verification', 'email_change'], (tx, bearer) => {
        request.annotate({ userId: bearer.userId });
        if (bearer.purpose === 'email_change') return confirmNewAddress(tx, bearer, request);
        return store.confirm(tx, bearer, request);
      });
    },

    async resend(email, request) {
      if (!outbox.isOpen) throw new EmailDisabled();
      await store.ask(email, request);
    },
  };
};
