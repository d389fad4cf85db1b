import { MailDisabled } from '../../core/mails/mails.errors.ts';
import type { Outbox } from '../../core/mails/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import type { Email } from '../../core/users/email.ts';
import type { HashNewPassword } from '../../core/users/hash-new-password.ts';
import type { Client } from '../../http/context.ts';
import type { PasswordResetStore } from './password-reset.store.ts';

export interface PasswordResetDeps {
  store: PasswordResetStore;
  outbox: Outbox;
  oneTimeTokens: OneTimeTokens;
  hashNewPassword: HashNewPassword;
}

export interface NewPasswordByLink {
  token: string;
  newPassword: string;
}

export interface PasswordReset {
  /** Does the same work for every address. @throws MailDisabled */
  forgot: (email: Email, client: Client) => Promise<void>;
  /** @throws InvalidToken; ValidationFailed and Overloaded, which do not spend the token */
  reset: (request: NewPasswordByLink, client: Client) => Promise<void>;
}

export const makePasswordReset = (deps: PasswordResetDeps): PasswordReset => {
  const { store, outbox, oneTimeTokens, hashNewPassword } = deps;
  return {
    async forgot(email, client) {
      if (!outbox.isOpen) throw new MailDisabled();
      await store.ask(email, client);
    },

    async reset({ token, newPassword }, client) {
      const { currentEmail: email, displayName, userId } = await oneTimeTokens.peek(token, 'password_reset');
      client.note({ userId });
      const hash = await hashNewPassword({
        field: 'new_password',
        password: newPassword,
        context: { email, displayName },
        gone: client.gone,
      });
      await oneTimeTokens.spend(token, ['password_reset'], (tx, bearer) => store.reset(tx, bearer, hash, client));
    },
  };
};
