import { z } from 'zod';
import { EmailDisabled } from '../../core/email/email.errors.ts';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { OneTimeToken, tokenExample } from '../../core/one-time-tokens/one-time-token.ts';
import { InvalidToken } from '../../core/one-time-tokens/one-time-tokens.errors.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../lib/errors.ts';
import type { EmailVerification } from './email-verification.ts';

const VerifyEmailRequest = z
  .strictObject({ token: OneTimeToken })
  .meta({ id: 'VerifyEmailRequest', examples: [{ token: tokenExample }] });

const ResendVerificationRequest = z
  .strictObject({ email: EmailAddress })
  .meta({ id: 'ResendVerificationRequest', examples: [{ email: 'ada@example.com' }] });

export const emailVerificationRoutes = ({ verify, resend }: EmailVerification) => [
  endpoint({
    method: 'post',
    path: '/verify-email',
    operationId: 'verifyEmail',
    tag: 'Accounts',
    summary: 'Confirm an address with the token that was mailed to it',
    description: 'Also confirms the new address of `POST /me/email`, which becomes that of the account.',
    rateLimit: { group: 'mail', counts: [InvalidToken], unguessable: true },
    body: VerifyEmailRequest,
    errors: [InvalidToken, NotReady],
    handle: ({ body, request }) => verify(body.token, request),
  }),
  endpoint({
    method: 'post',
    path: '/verify-email/resend',
    operationId: 'resendVerification',
    tag: 'Accounts',
    summary: 'Mail another link to confirm an address',
    description: 'Answers the same for every address. A link goes out only where an account waits for one.',
    rateLimit: { group: 'mail', counts: ['success'] },
    body: ResendVerificationRequest,
    response: Accepted,
    status: 202,
    errors: [EmailDisabled, NotReady],
    async handle({ body, request }) {
      await resend(body.email, request);
      return accepted('If an account with this address waits to be verified, a link is on its way to it.');
    },
  }),
];
