import { RefreshTokenRequest } from '../../core/tokens/refresh-token-request.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady } from '../../kernel/refusal.ts';
import type { Logout, LogoutAll } from './logout.ts';

export const logoutRoute = (logout: Logout) =>
  endpoint({
    method: 'post',
    path: '/logout',
    operationId: 'logout',
    tag: 'Sessions',
    summary: 'End the session of a refresh token',
    description: 'Answers 204 for a token that is unknown or spent, too.',
    body: RefreshTokenRequest,
    refusals: [NotReady],
    handle: ({ body, client }) => logout(body.refresh_token, client),
  });

export const logoutAllRoute = (logoutAll: LogoutAll) =>
  endpoint({
    method: 'post',
    path: '/logout/all',
    operationId: 'logoutAll',
    tag: 'Sessions',
    summary: 'End every session of yours',
    needs: 'sessions',
    handle: ({ caller, client }) => logoutAll(caller, client),
  });
