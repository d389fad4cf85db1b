import { z } from 'zod';
import { ScopeRequest } from '../../core/scopes/scopes.ts';
import type { Transports } from '../../core/sessions/transports.ts';
import { TokenResponse, Transport } from '../../core/tokens/token-response.ts';
import { EmailAddress } from '../../core/users/email.ts';
import { PresentedPassword } from '../../core/users/user.ts';
import { AccountLocked, EmailNotVerified, InvalidCredentials } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/refusals.ts';
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

export const passwordLoginRoute = (login: PasswordLogin, transports: Transports) =>
  endpoint({
    method: 'post',
    path: '/login',
    operationId: 'login',
    tag: 'Sessions',
    summary: 'Log in with a password',
    description:
      'Opens a session. Called with an access token of the scope `sessions`, or with the cookie that it overwrites, it ' +
      'ends that session.',
    limit: 'login',
    welcomes: 'sessions',
    body: LoginRequest,
    reply: TokenResponse,
    refusals: [InvalidCredentials, AccountLocked, EmailNotVerified, CsrfFailed, Overloaded, NotReady],
    async handle({ body: { email, password, transport, scope = null }, caller, client, browser }) {
      transports.guard(transport, browser);
      const replaces = [caller?.sessionId, transports.replaced(transport, browser)].filter((id) => id !== undefined);
      return transports.deliver(await login({ email, password, scope, replaces }, client), transport, browser);
    },
  });
