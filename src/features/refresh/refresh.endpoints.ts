import { InvalidRefreshToken, isReuse } from '../../core/sessions/sessions.errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import { RefreshTokenRequest } from '../../http/schemas/refresh-token-request.ts';
import { TokenResponse } from '../../http/schemas/token-response.ts';
import type { TokenTransport } from '../../http/token-transport.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import type { Refresh } from './refresh.ts';

export interface RefreshEndpointDeps {
  refresh: Refresh;
  tokenTransport: TokenTransport;
}

export const refreshEndpoints = ({ refresh, tokenTransport }: RefreshEndpointDeps): Endpoint[] => [
  endpoint({
    method: 'post',
    path: '/refresh',
    operationId: 'refresh',
    tag: 'Sessions',
    summary: 'Exchange a refresh token for new tokens',
    description:
      'A refresh token can be used once. If it is sent again within the grace period (a retry, a second tab), the ' +
      'response contains the same new refresh token. If it is sent later, the service assumes that it was stolen and revokes ' +
      'the session. If a client refreshes more than eight times within one grace period, it keeps its refresh token. ' +
      'Browser apps send the cookie, `X-CSRF-Token` and an allowed `Origin`, and no body.',
    ceiling: 'refresh',
    rateLimit: { group: 'refresh', counts: [InvalidRefreshToken], unguessable: true, exempt: isReuse },
    body: RefreshTokenRequest,
    refreshCookie: 'alternative',
    response: TokenResponse,
    errors: [InvalidRefreshToken, CsrfFailed, NotReady, Overloaded],
    async handle({ body, request, browser }) {
      const { token, transport } = tokenTransport.presentedToken(body, browser);
      return tokenTransport.deliver(await refresh(token, request), transport);
    },
  }),
];
