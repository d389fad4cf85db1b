import { z } from 'zod';
import { EmailAddress } from '../../core/users/email-address.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import { DisplayName, NewPassword, whenText } from '../../core/users/user.ts';
import { type Endpoint, endpoint, ResponseWithHeaders } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import { Accepted, accepted } from '../../http/schemas/accepted.ts';
import { TokenResponse, tokenResponseExample, Transport } from '../../http/schemas/token-response.ts';
import { toUser, User, userExample } from '../../http/schemas/user.ts';
import type { TokenTransport } from '../../http/token-transport.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import { EmailTaken, RegistrationClosed } from './sign-up.errors.ts';
import { makeSignUp, type SignUpDeps } from './sign-up.ts';

const registerRequest = (policy: PasswordPolicy) =>
  z
    .strictObject({ email: EmailAddress, password: NewPassword, display_name: DisplayName, transport: Transport })
    .superRefine(({ password, email, display_name: displayName }, context) => {
      // The other members can be invalid here, and of any type.
      for (const message of policy.checkOffline(password, { email: String(email), displayName: String(displayName) }))
        context.addIssue({ code: 'custom', path: ['password'], message });
    }, whenText('password'))
    .meta({
      id: 'RegisterRequest',
      examples: [{ email: 'ada@example.com', password: 'correct horse battery staple', display_name: 'Ada Lovelace' }],
    });

const Registration = TokenResponse.extend({ user: User }).meta({
  id: 'Registration',
  description: 'The account and the tokens of its first session',
  examples: [{ user: userExample, ...tokenResponseExample }],
});

export interface SignUpEndpointDeps extends SignUpDeps {
  passwordPolicy: PasswordPolicy;
  tokenTransport: TokenTransport;
}

export function signUpEndpoints({ passwordPolicy, tokenTransport, ...deps }: SignUpEndpointDeps): Endpoint[] {
  const signUp = makeSignUp(deps);
  return [
    endpoint({
      method: 'post',
      path: '/register',
      operationId: 'register',
      tag: 'Accounts',
      summary: 'Create an account and log in',
      description:
        'Sends an email with a link that verifies the email address. If the service requires verified addresses, the response ' +
        'is 202, the same for every address, and no session is created. After a lost response, repeat the request; after a 409, log in ' +
        'with the same password.',
      // A taken address counts because the response shows that it has an account.
      rateLimit: { group: 'register', counts: ['success', EmailTaken] },
      body: registerRequest(passwordPolicy),
      response: Registration,
      status: 201,
      alternativeResponses: [
        { status: 202, response: Accepted, description: 'The email address must be verified first' },
      ],
      errors: [EmailTaken, RegistrationClosed, CsrfFailed, Overloaded, NotReady],
      async handle({ body: { email, password, display_name: displayName, transport }, request, browser }) {
        const replaces = tokenTransport.replacedSession(transport, browser);
        const signedUp = await signUp({ email, password, displayName, replaces }, request);
        if (!signedUp)
          return new ResponseWithHeaders(accepted('Open the link that we sent to your email address.'), {}, 202);
        const { body, headers } = tokenTransport.deliver(signedUp.tokens, transport);
        return new ResponseWithHeaders({ user: toUser(signedUp.user), ...body }, headers);
      },
    }),
  ];
}
