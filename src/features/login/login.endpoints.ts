import { z } from 'zod';
import { ScopeRequest } from '../../core/authorization/scopes.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import { PresentedPassword } from '../../core/users/user.ts';
import { AccountLocked, EmailNotVerified, InvalidCredentials } from '../../core/users/users.errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import { TokenResponse, Transport } from '../../http/schemas/token-response.ts';
import type { TokenTransport } from '../../http/token-transport.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import type { Login } from './login.ts';

const LoginRequest = z
  .strictObject({
    email: EmailAddress,
    password: PresentedPassword,
    transport: Transport,
    scope: ScopeRequest.optional().meta({
      description:
        'Narrows the scopes. Elevated scopes (`api-keys` and administrative scopes) must be requested by name',
    }),
  })
  .meta({ id: 'LoginRequest', examples: [{ email: 'ada@example.com', password: 'correct horse battery staple' }] });

export interface LoginEndpointDeps {
  login: Login;
  tokenTransport: TokenTransport;
}

export const loginEndpoints = ({ login, tokenTransport }: LoginEndpointDeps): Endpoint[] => [
  endpoint({
    method: 'post',
    path: '/login',
    operationId: 'login',
    tag: 'Sessions',
    summary: 'Log in with a password',
    description:
      'Creates a session. If the request has an access token with the scope `sessions`, or a refresh cookie that the response ' +
      'overwrites, that session is revoked.',
    rateLimit: { group: 'login', counts: [InvalidCredentials, AccountLocked] },
    optionalAuth: 'sessions',
    body: LoginRequest,
    response: TokenResponse,
    errors: [InvalidCredentials, AccountLocked, EmailNotVerified, CsrfFailed, Overloaded, NotReady],
    async handle({ body: { email, password, transport, scope = null }, principal, request, browser }) {
      const cookieSession = tokenTransport.replacedSession(transport, browser);
      const replaces = [principal?.sessionId, cookieSession].filter((id) => id !== undefined);
      return tokenTransport.deliver(await login({ email, password, scope, replaces }, request), transport);
    },
  }),
];
