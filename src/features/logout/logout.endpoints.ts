import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import { LogoutAllRequest } from '../../http/schemas/revoke-api-keys.ts';
import { RefreshTokenRequest } from '../../http/schemas/refresh-token-request.ts';
import type { TokenTransport } from '../../http/token-transport.ts';
import { NotReady } from '../../lib/errors.ts';
import { type LogoutAllDeps, makeLogout, makeLogoutAll } from './logout.ts';

export interface LogoutEndpointDeps extends LogoutAllDeps {
  tokenTransport: TokenTransport;
}

export function logoutEndpoints({ tokenTransport, ...deps }: LogoutEndpointDeps): Endpoint[] {
  const logout = makeLogout(deps);
  const logoutAll = makeLogoutAll(deps);
  return [
    endpoint({
      method: 'post',
      path: '/logout',
      operationId: 'logout',
      tag: 'Sessions',
      summary: 'Revoke the session of a refresh token',
      description: 'Also returns 204 if the token is unknown or spent. With the cookie, it also deletes the cookie.',
      body: RefreshTokenRequest,
      refreshCookie: 'alternative',
      errors: [CsrfFailed, NotReady],
      async handle({ body, request, browser }) {
        const { token, transport } = tokenTransport.presentedToken(body, browser);
        await logout(token, request);
        return transport === 'cookie' ? tokenTransport.clearCookie() : undefined;
      },
    }),
    endpoint({
      method: 'post',
      path: '/logout/all',
      operationId: 'logoutAll',
      tag: 'Sessions',
      summary: 'Revoke all of your sessions',
      description:
        'API keys keep working unless `revoke_api_keys` is true. The body is optional. If a repeated request returns 401 ' +
        '`invalid_access_token` after a lost response, all sessions are revoked.',
      scopes: ['sessions'],
      body: LogoutAllRequest,
      optionalBody: true,
      async handle({ principal, body, request, browser }) {
        await logoutAll(principal, { revokesApiKeys: body.revoke_api_keys }, request);
        return tokenTransport.hasCookie(browser) ? tokenTransport.clearCookie() : undefined;
      },
    }),
  ];
}
