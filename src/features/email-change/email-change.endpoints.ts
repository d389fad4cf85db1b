import { z } from 'zod';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { EmailDisabled } from '../../core/email/email.errors.ts';
import { OneTimeToken, tokenExample } from '../../core/one-time-tokens/one-time-token.ts';
import { InvalidToken } from '../../core/one-time-tokens/one-time-tokens.errors.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { PresentedPassword } from '../../core/users/user.ts';
import { AccountLocked, InvalidCredentials } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
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
    rateLimit: [
      { group: 'login', counts: [InvalidCredentials] },
      { group: 'mail', counts: ['success'] },
    ],
    scopes: ['profile'],
    body: ChangeEmailRequest,
    response: Accepted,
    status: 202,
    errors: [InvalidCredentials, AccountLocked, EmailDisabled, Overloaded],
    async handle({ principal, body, request }) {
      await ask(principal, body.new_email, body.current_password, request);
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
    rateLimit: { group: 'mail', counts: [InvalidToken], unguessable: true },
    body: UndoEmailChangeRequest,
    errors: [InvalidToken, NotReady],
    handle: ({ body, request }) => undo(body.token, request),
  }),
];
