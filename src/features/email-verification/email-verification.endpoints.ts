import { z } from 'zod';
import { EmailDisabled } from '../../core/email/email.errors.ts';
import { InvalidToken, OneTimeToken, tokenExample } from '../../core/one-time-tokens/one-time-token.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { NotReady } from '../../lib/errors.ts';
import { makeResendVerification, type ResendVerificationDeps } from './resend-verification.ts';

const VerifyEmailRequest = z
  .strictObject({ token: OneTimeToken })
  .meta({ id: 'VerifyEmailRequest', examples: [{ token: tokenExample }] });

const ResendVerificationRequest = z
  .strictObject({ email: EmailAddress })
  .meta({ id: 'ResendVerificationRequest', examples: [{ email: 'ada@example.com' }] });

export interface EmailVerificationDeps extends ResendVerificationDeps {
  verifyEmail: (token: string, request: RequestInfo) => Promise<void>;
}

export function emailVerificationEndpoints(deps: EmailVerificationDeps): Endpoint[] {
  const { verifyEmail } = deps;
  const resendVerification = makeResendVerification(deps);
  return [
    endpoint({
      method: 'post',
      path: '/verify-email',
      operationId: 'verifyEmail',
      tag: 'Accounts',
      summary: 'Verify an email address with the token of an emailed link',
      description:
        'Also completes an email change that `POST /me/email` started. If a repeated request returns 400 after a lost response, ' +
        '`GET /me` shows whether the address is verified.',
      rateLimit: { group: 'mail', counts: [InvalidToken], unguessable: true },
      body: VerifyEmailRequest,
      errors: [InvalidToken, NotReady],
      handle: ({ body, request }) => verifyEmail(body.token, request),
    }),
    endpoint({
      method: 'post',
      path: '/verify-email/resend',
      operationId: 'resendVerification',
      tag: 'Accounts',
      summary: 'Send another verification email',
      description:
        'Returns the same response for every email address. An email is sent only to an account that is not verified yet.',
      rateLimit: { group: 'mail', counts: ['success'] },
      body: ResendVerificationRequest,
      response: Accepted,
      status: 202,
      errors: [EmailDisabled, NotReady],
      async handle({ body, request }) {
        await resendVerification(body.email, request);
        return accepted('If an account with this email address is not verified yet, we have sent it a link.');
      },
    }),
  ];
}
