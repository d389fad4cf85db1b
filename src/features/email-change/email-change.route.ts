import { z } from 'zod';
import { Accepted, accepted } from '../../core/mails/accepted.ts';
import { MailDisabled } from '../../core/mails/mails.errors.ts';
import { OneTimeToken, tokenExample } from '../../core/one-time-tokens/one-time-token.ts';
import { InvalidToken } from '../../core/one-time-tokens/one-time-tokens.errors.ts';
import { EmailAddress } from '../../core/users/email.ts';
import { PresentedPassword } from '../../core/users/user.ts';
import { AccountLocked, InvalidCredentials } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady, Overloaded } from '../../kernel/refusal.ts';
import type { EmailChange } from './email-change.ts';

const ChangeEmailRequest = z.strictObject({ new_email: EmailAddress, current_password: PresentedPassword }).meta({
  id: 'ChangeEmailRequest',
  examples: [{ new_email: 'ada@lovelace.example', current_password: 'correct horse battery staple' }],
});

const UndoEmailChangeRequest = z
  .strictObject({ token: OneTimeToken })
  .meta({ id: 'UndoEmailChangeRequest', examples: [{ token: tokenExample }] });

export const emailChangeRoutes = ({ ask, undo }: EmailChange) => [
  endpoint({
    method: 'post',
    path: '/me/email',
    operationId: 'changeEmail',
    tag: 'Accounts',
    summary: 'Change your e-mail address',
    description:
      'Mails a link to the new address; the change takes effect when `POST /verify-email` gets its token. The old address ' +
      'is told, and can undo the change for 72 hours.',
    limit: 'login',
    needs: 'profile',
    body: ChangeEmailRequest,
    reply: Accepted,
    status: 202,
    refusals: [InvalidCredentials, AccountLocked, MailDisabled, Overloaded],
    async handle({ caller, body, client }) {
      await ask(caller, body.new_email, body.current_password, client);
      return accepted('A link to confirm the new address is on its way to it.');
    },
  }),
  endpoint({
    method: 'post',
    path: '/undo-email-change',
    operationId: 'undoEmailChange',
    tag: 'Accounts',
    summary: 'Take back a change of address with the token that was mailed to the old one',
    description:
      'Gives the account its former address, ends every session of it, and lets nobody in until a new password is set; a ' +
      'link for that is mailed to the former address.',
    body: UndoEmailChangeRequest,
    refusals: [InvalidToken, NotReady],
    handle: ({ body, client }) => undo(body.token, client),
  }),
];
