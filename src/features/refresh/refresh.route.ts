import { InvalidRefreshToken } from '../../core/tokens/refresh-token.errors.ts';
import type { Transports } from '../../core/sessions/transports.ts';
import { RefreshTokenRequest } from '../../core/tokens/refresh-token-request.ts';
import { TokenResponse } from '../../core/tokens/token-response.ts';
import { endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/refusals.ts';
import { NotReady } from '../../kernel/refusal.ts';
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
    limit: 'refresh',
    // Offices and mobile carriers share an address; a session is one client's.
    countedBy: (body, browser) => transports.session(body, browser),
    body: RefreshTokenRequest,
    refreshCookie: 'alternative',
    reply: TokenResponse,
    refusals: [InvalidRefreshToken, CsrfFailed, NotReady],
    async handle({ body, client, browser }) {
      const { token, transport } = transports.presented(body, browser);
      return transports.deliver(await refresh(token, client), transport, browser);
    },
  });
