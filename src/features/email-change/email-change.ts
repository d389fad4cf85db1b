import { MailDisabled, TooManyMails } from '../../core/mails/mails.errors.ts';
import type { Outbox } from '../../core/mails/outbox.ts';
import type { OneTimeTokens } from '../../core/one-time-tokens/one-time-token.ts';
import { type ConfirmPassword, overtaken } from '../../core/sessions/confirm-password.ts';
import { requireLive } from '../../core/sessions/require-live.ts';
import type { Email } from '../../core/users/email.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { ValidationFailed } from '../../http/refusals.ts';
import type { EmailChangeStore } from './email-change.store.ts';

export interface EmailChangeDeps {
  store: EmailChangeStore;
  outbox: Outbox;
  oneTimeTokens: OneTimeTokens;
  confirmPassword: ConfirmPassword;
}

export interface EmailChange {
  /** @throws InvalidAccessToken, InvalidCredentials, AccountLocked, ValidationFailed, MailDisabled, TooManyMails, Overloaded */
  ask: (caller: Caller, newEmail: Email, password: string, client: Client) => Promise<void>;
  /** @throws InvalidToken */
  undo: (token: string, client: Client) => Promise<void>;
}

export const makeEmailChange = ({ store, outbox, oneTimeTokens, confirmPassword }: EmailChangeDeps): EmailChange => ({
  async ask(caller, newEmail, password, client) {
    if (!outbox.isOpen) throw new MailDisabled();
    const account = await confirmPassword(caller, password, client);
    if (account.email === newEmail)
      throw new ValidationFailed([{ path: 'new_email', message: 'is the address of your account already' }]);
    const outcome = requireLive(await store.ask(caller, account.passwordHash, newEmail, client));
    if (outcome === 'too_many') throw new TooManyMails();
    if (outcome === 'overtaken') throw overtaken();
  },

  async undo(token, client) {
    await oneTimeTokens.spend(token, ['email_undo'], (tx, bearer) => {
      client.note({ userId: bearer.userId });
      return store.undo(tx, bearer, client);
    });
  },
});
