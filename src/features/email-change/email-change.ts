import { EmailDisabled } from '../../core/email/email.errors.ts';
import { RateLimited } from '../../core/errors.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import { type ConfirmPassword, overtaken } from '../../core/users/confirm-password.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { ValidationFailed } from '../../core/errors.ts';
import type { EmailChangeStore } from './email-change.store.ts';

export interface EmailChangeDeps {
  store: EmailChangeStore;
  outbox: Outbox;
  oneTimeTokens: OneTimeTokens;
  confirmPassword: ConfirmPassword;
}

export interface EmailChange {
  /** @throws InvalidAccessToken, InvalidCredentials, AccountLocked, ValidationFailed, MailDisabled, TooManyMails, Overloaded */
  ask: (principal: Principal, newEmail: EmailAddress, password: string, request: RequestInfo) => Promise<void>;
  /** @throws InvalidToken */
  undo: (token: string, request: RequestInfo) => Promise<void>;
}

export const makeEmailChange = ({ store, outbox, oneTimeTokens, confirmPassword }: EmailChangeDeps): EmailChange => ({
  async ask(principal, newEmail, password, request) {
    if (!outbox.isOpen) throw new EmailDisabled();
    const account = await confirmPassword(principal, password, request);
    if (account.email === newEmail)
      throw new ValidationFailed([{ path: 'new_email', message: 'is the address of your account already' }]);
    const outcome = requireLive(await store.ask(principal, account.passwordHash, newEmail, request));
    if (outcome === 'too_many') throw new RateLimited('emails to one address', 3600);
    if (outcome === 'overtaken') throw overtaken();
  },

  async undo(token, request) {
    await oneTimeTokens.spend(token, ['email_undo'], (tx, bearer) => {
      request.annotate({ userId: bearer.userId });
      return store.undo(tx, bearer, request);
    });
  },
});
