import type { Transports } from '../../http/token-transport.ts';
import { RefreshTokenRequest } from '../../http/schemas/refresh-token-request.ts';
import type { BrowserRequest } from '../../http/csrf.ts';
import { endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/errors.ts';
import { ResponseWithHeaders } from '../../http/response.ts';
import { NotReady } from '../../lib/errors.ts';
import type { Logout, LogoutAll } from './logout.ts';

/** The cookie goes; and with it what else the site keeps in cookies (W3C Clear Site Data section 3.1). */
const forgetting = (browser: BrowserRequest) =>
  new ResponseWithHeaders(undefined, { 'Set-Cookie': browser.clearCookie(), 'Clear-Site-Data': '"cookies"' });

export const logoutRoute = (logout: Logout, transports: Transports) =>
  endpoint({
    method: 'post',
    path: '/logout',
    operationId: 'logout',
    tag: 'Sessions',
    summary: 'End the session of a refresh token',
    description: 'Answers 204 for a token that is unknown or spent, too.',
    body: RefreshTokenRequest,
    refreshCookie: 'alternative',
    errors: [CsrfFailed, NotReady],
    async handle({ body, request, browser }) {
      const { token, transport } = transports.presented(body, browser);
      await logout(token, request);
      return transport === 'cookie' ? forgetting(browser) : undefined;
    },
  });

export const logoutAllRoute = (logoutAll: LogoutAll) =>
  endpoint({
    method: 'post',
    path: '/logout/all',
    operationId: 'logoutAll',
    tag: 'Sessions',
    summary: 'End every session of yours',
    scopes: ['sessions'],
    async handle({ principal, request, browser }) {
      await logoutAll(principal, request);
      return browser.refreshToken === undefined ? undefined : forgetting(browser);
    },
  });
