import { EmailDisabled } from '../../core/email/email.errors.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { HashNewPassword } from '../../core/users/hash-new-password.ts';
import type { RequestInfo } from '../../core/request-info.ts';
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
  forgot: (email: EmailAddress, request: RequestInfo) => Promise<void>;
  /** @throws InvalidToken; ValidationFailed and Overloaded, which do not spend the token */
  reset: (newPassword: NewPasswordByLink, request: RequestInfo) => Promise<void>;
}

export const makePasswordReset = (deps: PasswordResetDeps): PasswordReset => {
  const { store, outbox, oneTimeTokens, hashNewPassword } = deps;
  return {
    async forgot(email, request) {
      if (!outbox.isOpen) throw new EmailDisabled();
      await store.ask(email, request);
    },

    async reset({ token, newPassword }, request) {
      const { currentEmail: email, displayName, userId } = await oneTimeTokens.peek(token, 'password_reset');
      request.annotate({ userId });
      const hash = await hashNewPassword({
        field: 'new_password',
        password: newPassword,
        context: { email, displayName },
        gone: request.signal,
      });
      await oneTimeTokens.spend(token, ['password_reset'], (tx, bearer) => store.reset(tx, bearer, hash, request));
    },
  };
};
