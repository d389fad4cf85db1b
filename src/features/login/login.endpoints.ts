import { z } from 'zod';
import { ScopeRequest } from '../../core/authorization/scopes.ts';
import type { Transports } from '../../http/token-transport.ts';
import { TokenResponse, Transport } from '../../http/schemas/token-response.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { PresentedPassword } from '../../core/users/user.ts';
import { AccountLocked, EmailNotVerified, InvalidCredentials } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import type { PasswordLogin } from './login.ts';

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
    rateLimit: { group: 'login', counts: [InvalidCredentials] },
    optionalAuth: 'sessions',
    body: LoginRequest,
    response: TokenResponse,
    errors: [InvalidCredentials, AccountLocked, EmailNotVerified, CsrfFailed, Overloaded, NotReady],
    async handle({ body: { email, password, transport, scope = null }, principal, request, browser }) {
      transports.guard(transport, browser);
      const replaces = [principal?.sessionId, transports.replaced(transport, browser)].filter((id) => id !== undefined);
      return transports.deliver(await login({ email, password, scope, replaces }, request), transport, browser);
    },
  });
