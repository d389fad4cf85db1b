import { MailDisabled } from '../../core/mails/mails.errors.ts';
import type { Outbox } from '../../core/mails/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import type { Bearer } from '../../core/one-time-tokens/one-time-tokens.store.ts';
import type { Email } from '../../core/users/email.ts';
import type { Client } from '../../http/context.ts';
import type { Queryable } from '../../platform/postgres.ts';
import type { EmailVerificationStore } from './email-verification.store.ts';

/** Makes the address that a token was sent to the account's; undefined where that cannot be. */
export type ConfirmNewAddress = (tx: Queryable, bearer: Bearer, client: Client) => Promise<true | undefined>;

export interface EmailVerificationDeps {
  store: EmailVerificationStore;
  oneTimeTokens: OneTimeTokens;
  outbox: Outbox;
  /** For tokens of a change of address, whose links lead to the same place. */
  confirmNewAddress: ConfirmNewAddress;
}

export interface EmailVerification {
  /** @throws InvalidToken */
  verify: (token: string, client: Client) => Promise<void>;
  /** Does the same work for every address. @throws MailDisabled */
  resend: (email: Email, client: Client) => Promise<void>;
}

export const makeEmailVerification = (deps: EmailVerificationDeps): EmailVerification => {
  const { store, oneTimeTokens, outbox, confirmNewAddress } = deps;
  return {
    async verify(token, client) {
      await oneTimeTokens.spend(token, ['verification', 'email_change'], (tx, bearer) => {
        client.note({ userId: bearer.userId });
        if (bearer.purpose === 'email_change') return confirmNewAddress(tx, bearer, client);
        return store.confirm(tx, bearer, client);
      });
    },

    async resend(email, client) {
      if (!outbox.isOpen) throw new MailDisabled();
      await store.ask(email, client);
    },
  };
};
