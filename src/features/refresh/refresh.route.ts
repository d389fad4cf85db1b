import type { Ratchet } from '../../core/sessions/ratchet.ts';
import { RefreshTokenRequest } from '../../core/tokens/refresh-token-request.ts';
import { TokenResponse } from '../../core/tokens/token-response.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../kernel/refusal.ts';
import { InvalidRefreshToken } from './refresh.errors.ts';
import type { Refresh } from './refresh.ts';

export const refreshRoute = (refresh: Refresh, ratchet: Ratchet) =>
  endpoint({
    method: 'post',
    path: '/refresh',
    operationId: 'refresh',
    tag: 'Sessions',
    summary: 'Trade a refresh token for a new pair',
    description:
      'A token is good once. Repeated within the leeway (a retry, a second tab) it gives the same successor; repeated ' +
      'later it counts as stolen, and its session ends.',
    limit: 'refresh',
    // Offices and mobile carriers share an address; a session is one client's.
    countedBy: (body) => ratchet.parse(body.refresh_token)?.sessionId,
    body: RefreshTokenRequest,
    reply: TokenResponse,
    refusals: [InvalidRefreshToken, NotReady],
    handle: ({ body, client }) => refresh(body.refresh_token, client),
  });
