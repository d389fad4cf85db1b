import { z } from 'zod';
import { EmailDisabled } from '../../core/email/email.errors.ts';
import { InvalidToken, OneTimeToken, tokenExample } from '../../core/one-time-tokens/one-time-token.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { checksNewPassword } from '../../core/users/new-password.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import { NewPassword } from '../../core/users/user.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import { makeRequestPasswordReset, type RequestPasswordResetDeps } from './request-password-reset.ts';

const ForgotPasswordRequest = z
  .strictObject({ email: EmailAddress })
  .meta({ id: 'ForgotPasswordRequest', examples: [{ email: 'ada@example.com' }] });

const resetPasswordRequest = (policy: PasswordPolicy) =>
  z
    .strictObject({ token: OneTimeToken, new_password: NewPassword })
    .superRefine(...checksNewPassword(policy))
    .meta({
      id: 'ResetPasswordRequest',
      examples: [{ token: tokenExample, new_password: 'a quieter mare and no battery' }],
    });

export interface PasswordResetDeps extends RequestPasswordResetDeps {
  passwordPolicy: PasswordPolicy;
  resetPassword: (reset: { token: string; newPassword: string }, request: RequestInfo) => Promise<void>;
}

export function passwordResetEndpoints(deps: PasswordResetDeps): Endpoint[] {
  const { passwordPolicy, resetPassword } = deps;
  const requestPasswordReset = makeRequestPasswordReset(deps);
  return [
    endpoint({
      method: 'post',
      path: '/forgot-password',
      operationId: 'forgotPassword',
      tag: 'Accounts',
      summary: 'Send an email with a link to reset the password',
      description:
        'Returns the same response for every email address. An email is sent only if an active account has it.',
      rateLimit: { group: 'mail', counts: ['success'] },
      body: ForgotPasswordRequest,
      response: Accepted,
      status: 202,
      errors: [EmailDisabled, NotReady],
      async handle({ body, request }) {
        await requestPasswordReset(body.email, request);
        return accepted('If an account with this email address exists, we have sent it a link.');
      },
    }),
    endpoint({
      method: 'post',
      path: '/reset-password',
      operationId: 'resetPassword',
      tag: 'Accounts',
      summary: 'Set a new password with the token of an emailed link',
      description:
        'Revokes all sessions and API keys of the account, lifts its lockout and verifies its email address. Does not log ' +
        'in. If the new password is rejected, the token stays valid. If a repeated request returns 400 after a lost response, log in ' +
        'with the new password.',
      rateLimit: { group: 'mail', counts: [InvalidToken], unguessable: true },
      body: resetPasswordRequest(passwordPolicy),
      errors: [InvalidToken, Overloaded, NotReady],
      handle: ({ body: { token, new_password: newPassword }, request }) =>
        resetPassword({ token, newPassword }, request),
    }),
  ];
}
