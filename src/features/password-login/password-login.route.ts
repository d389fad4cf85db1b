import { z } from 'zod';
import { ScopeRequest } from '../../core/scopes/scopes.ts';
import { TokenResponse, Transport } from '../../core/tokens/token-response.ts';
import { EmailAddress } from '../../core/users/email.ts';
import { PresentedPassword } from '../../core/users/user.ts';
import { AccountLocked, InvalidCredentials } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady, Overloaded } from '../../kernel/refusal.ts';
import type { PasswordLogin } from './password-login.ts';

const LoginRequest = z
  .strictObject({
    email: EmailAddress,
    password: PresentedPassword,
    transport: Transport,
    scope: ScopeRequest.optional().meta({
      description: 'Narrows the scopes. Elevated ones (`api-keys` and those of administrators) are given only by name',
    }),
  })
  .meta({ id: 'LoginRequest', examples: [{ email: 'ada@example.com', password: 'correct horse battery staple' }] });

export const passwordLoginRoute = (login: PasswordLogin) =>
  endpoint({
    method: 'post',
    path: '/login',
    operationId: 'login',
    tag: 'Sessions',
    summary: 'Log in with a password',
    description:
      'Opens a session. Called with an access token of the scope `sessions`, it ends the session of that token.',
    limit: 'login',
    welcomes: 'sessions',
    body: LoginRequest,
    reply: TokenResponse,
    refusals: [InvalidCredentials, AccountLocked, Overloaded, NotReady],
    handle: ({ body: { email, password, scope = null }, caller, client }) =>
      login({ email, password, scope, replaces: caller?.sessionId }, client),
  });
