import { z } from 'zod';
import { EmailDisabled } from '../../core/email/email.errors.ts';
import { InvalidToken, OneTimeToken, tokenExample } from '../../core/one-time-tokens/one-time-token.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { PresentedPassword } from '../../core/users/user.ts';
import { AccountLocked, InvalidCredentials } from '../../core/users/users.errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import { makeRequestEmailChange, type RequestEmailChangeDeps } from './request-email-change.ts';

const ChangeEmailRequest = z.strictObject({ new_email: EmailAddress, current_password: PresentedPassword }).meta({
  id: 'ChangeEmailRequest',
  examples: [{ new_email: 'ada@lovelace.example', current_password: 'correct horse battery staple' }],
});

const UndoEmailChangeRequest = z
  .strictObject({ token: OneTimeToken })
  .meta({ id: 'UndoEmailChangeRequest', examples: [{ token: tokenExample }] });

export interface EmailChangeDeps extends RequestEmailChangeDeps {
  undoEmailChange: (token: string, request: RequestInfo) => Promise<void>;
}

export function emailChangeEndpoints(deps: EmailChangeDeps): Endpoint[] {
  const { undoEmailChange } = deps;
  const requestEmailChange = makeRequestEmailChange(deps);
  return [
    endpoint({
      method: 'post',
      path: '/me/email',
      operationId: 'changeEmail',
      tag: 'Accounts',
      summary: 'Change your email address',
      description:
        'Sends a link to the new address. The change takes effect when `POST /verify-email` receives the token of the link. The old ' +
        'address receives a notice. If it was verified, the notice contains a link that undoes the change for 72 hours, and no other ' +
        'account can use the address until then. A repeated request replaces the link.',
      rateLimit: [
        { group: 'login', counts: [InvalidCredentials, AccountLocked] },
        { group: 'mail', counts: ['success'] },
      ],
      scopes: ['profile'],
      body: ChangeEmailRequest,
      response: Accepted,
      status: 202,
      errors: [InvalidCredentials, AccountLocked, EmailDisabled, Overloaded],
      async handle({ principal, body, request }) {
        const { new_email: newEmail, current_password: currentPassword } = body;
        await requestEmailChange(principal, { newEmail, currentPassword }, request);
        return accepted('We have sent a link to the new email address. Open it to confirm the change.');
      },
    }),
    endpoint({
      method: 'post',
      path: '/undo-email-change',
      operationId: 'undoEmailChange',
      tag: 'Accounts',
      summary: 'Undo an email change with the token of the link that was sent to the old address',
      description:
        'Restores the old email address, revokes all sessions and API keys, and disables the password. A link to set a new ' +
        'password is sent to the old address.',
      rateLimit: { group: 'mail', counts: [InvalidToken], unguessable: true },
      body: UndoEmailChangeRequest,
      errors: [InvalidToken, NotReady],
      handle: ({ body, request }) => undoEmailChange(body.token, request),
    }),
  ];
}
