import { z } from 'zod';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { EmailDisabled } from '../../core/email/email.errors.ts';
import { OneTimeToken, tokenExample } from '../../core/one-time-tokens/one-time-token.ts';
import { InvalidToken } from '../../core/one-time-tokens/one-time-tokens.errors.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import { NewPassword, whenText } from '../../core/users/user.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import type { PasswordReset } from './password-reset.ts';

const ForgotPasswordRequest = z
  .strictObject({ email: EmailAddress })
  .meta({ id: 'ForgotPasswordRequest', examples: [{ email: 'ada@example.com' }] });

const resetPasswordRequest = (policy: PasswordPolicy) =>
  z
    .strictObject({ token: OneTimeToken, new_password: NewPassword })
    .superRefine(({ new_password: password }, context) => {
      for (const message of policy.knownFaults(password))
        context.addIssue({ code: 'custom', path: ['new_password'], message });
    }, whenText('new_password'))
    .meta({
      id: 'ResetPasswordRequest',
      examples: [{ token: tokenExample, new_password: 'a quieter mare and no battery' }],
    });

export const passwordResetRoutes = ({ forgot, reset }: PasswordReset, policy: PasswordPolicy) => [
  endpoint({
    method: 'post',
    path: '/forgot-password',
    operationId: 'forgotPassword',
    tag: 'Accounts',
    summary: 'Mail a link to set a new password',
    description: 'Answers the same for every address. A link goes out only where there is such an account.',
    rateLimit: { group: 'mail', counts: ['success'] },
    body: ForgotPasswordRequest,
    response: Accepted,
    status: 202,
    errors: [EmailDisabled, NotReady],
    async handle({ body, request }) {
      await forgot(body.email, request);
      return accepted('If there is an account with this address, a link is on its way to it.');
    },
  }),
  endpoint({
    method: 'post',
    path: '/reset-password',
    operationId: 'resetPassword',
    tag: 'Accounts',
    summary: 'Set a new password with the token that was mailed',
    description:
      'Ends every session of the account, lifts its lock-out, confirms its address, and logs nobody in. A password that ' +
      'is refused does not spend the token.',
    rateLimit: { group: 'mail', counts: [InvalidToken], unguessable: true },
    body: resetPasswordRequest(policy),
    errors: [InvalidToken, Overloaded, NotReady],
    handle: ({ body, request }) => reset({ token: body.token, newPassword: body.new_password }, request),
  }),
];
