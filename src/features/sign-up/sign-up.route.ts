import { z } from 'zod';
import { TokenResponse, tokenResponseExample } from '../../core/tokens/token-response.ts';
import { EmailAddress } from '../../core/users/email.ts';
import { DisplayName, PresentedPassword, User, userExample } from '../../core/users/user.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady, Overloaded } from '../../kernel/refusal.ts';
import { EmailTaken, RegistrationClosed } from './sign-up.errors.ts';
import type { SignUp } from './sign-up.ts';

const RegisterRequest = z
  .strictObject({
    email: EmailAddress,
    password: PresentedPassword.meta({
      description: '8 to 128 code points of any kind; common passwords, the e-mail address and the name are refused',
    }),
    display_name: DisplayName,
    transport: z.literal('body').default('body').meta({ description: 'How the refresh token travels' }),
  })
  .meta({
    id: 'RegisterRequest',
    examples: [{ email: 'ada@example.com', password: 'correct horse battery staple', display_name: 'Ada Lovelace' }],
  });

const RegisterResponse = TokenResponse.extend({ user: User }).meta({
  id: 'RegisterResponse',
  description: 'The account, and a pair of tokens for its first session',
  examples: [{ user: userExample, ...tokenResponseExample }],
});

export const signUpRoute = (signUp: SignUp) =>
  endpoint({
    method: 'post',
    path: '/register',
    operationId: 'register',
    tag: 'Accounts',
    summary: 'Make an account and log it in',
    body: RegisterRequest,
    reply: RegisterResponse,
    status: 201,
    refusals: [EmailTaken, RegistrationClosed, Overloaded, NotReady],
    handle: ({ body, client }) =>
      signUp({ email: body.email, password: body.password, displayName: body.display_name }, client),
  });
