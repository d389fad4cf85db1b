import { InvalidRefreshToken, isReuse } from '../../core/sessions/sessions.errors.ts';
import type { Transports } from '../../http/token-transport.ts';
import { RefreshTokenRequest } from '../../http/schemas/refresh-token-request.ts';
import { TokenResponse } from '../../http/schemas/token-response.ts';
import { endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import { NotReady } from '../../lib/errors.ts';
import type { Refresh } from './refresh.ts';

export const refreshRoute = (refresh: Refresh, transports: Transports) =>
  endpoint({
    method: 'post',
    path: '/refresh',
    operationId: 'refresh',
    tag: 'Sessions',
    summary: 'Trade a refresh token for a new pair',
    description:
      'A token is good once. Repeated within the leeway (a retry, a second tab) it gives the same successor; repeated ' +
      'later it counts as stolen, and its session ends. A browser app leaves the body out and sends its cookie, with ' +
      '`X-CSRF-Token`, from an allowed `Origin`.',
    ceiling: 'refresh',
    rateLimit: { group: 'refresh', counts: [InvalidRefreshToken], unguessable: true, exempt: isReuse },
    body: RefreshTokenRequest,
    refreshCookie: 'alternative',
    response: TokenResponse,
    errors: [InvalidRefreshToken, CsrfFailed, NotReady],
    async handle({ body, request, browser }) {
      const { token, transport } = transports.presented(body, browser);
      return transports.deliver(await refresh(token, request), transport, browser);
    },
  });
