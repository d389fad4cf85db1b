import { z } from 'zod';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import type { Transports } from '../../http/token-transport.ts';
import { TokenResponse, tokenResponseExample, Transport } from '../../http/schemas/token-response.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import { DisplayName, NewPassword, User, userExample, whenText } from '../../core/users/user.ts';
import { endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import { ResponseWithHeaders } from '../../http/response.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import { EmailTaken, RegistrationClosed } from './sign-up.errors.ts';
import type { SignUp } from './sign-up.ts';

const registerRequest = (policy: PasswordPolicy) =>
  z
    .strictObject({ email: EmailAddress, password: NewPassword, display_name: DisplayName, transport: Transport })
    .superRefine(({ password, email, display_name: displayName }, context) => {
      // The others may be at fault themselves, and then be anything.
      for (const message of policy.checkOffline(password, { email: String(email), displayName: String(displayName) }))
        context.addIssue({ code: 'custom', path: ['password'], message });
    }, whenText('password'))
    .meta({
      id: 'RegisterRequest',
      examples: [{ email: 'ada@example.com', password: 'correct horse battery staple', display_name: 'Ada Lovelace' }],
    });

const Registration = TokenResponse.extend({ user: User }).meta({
  id: 'Registration',
  description: 'The account, and a pair of tokens for its first session',
  examples: [{ user: userExample, ...tokenResponseExample }],
});

export const signUpRoute = (signUp: SignUp, policy: PasswordPolicy, transports: Transports) =>
  endpoint({
    method: 'post',
    path: '/register',
    operationId: 'register',
    tag: 'Accounts',
    summary: 'Make an account and log it in',
    // A taken address counts because the response reveals that it has an account.
    rateLimit: { group: 'register', counts: ['success', EmailTaken] },
    body: registerRequest(policy),
    description:
      'Mails a link that confirms the address. Where the service requires that first, the answer is 202 and the same for ' +
      'every address, and nobody is logged in.',
    response: Registration,
    status: 201,
    alternativeResponses: [
      { status: 202, response: Accepted, description: 'The address must be confirmed by mail first' },
    ],
    errors: [EmailTaken, RegistrationClosed, CsrfFailed, Overloaded, NotReady],
    async handle({ body: { email, password, display_name: displayName, transport }, request, browser }) {
      transports.guard(transport, browser);
      const replaces = transports.replaced(transport, browser);
      const registered = await signUp({ email, password, displayName, replaces }, request);
      if (!registered)
        return new ResponseWithHeaders(accepted('Open the link that is on its way to this address.'), {}, 202);
      return transports.deliver(registered, transport, browser);
    },
  });
