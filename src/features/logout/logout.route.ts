import type { Transports } from '../../core/sessions/transports.ts';
import { RefreshTokenRequest } from '../../core/tokens/refresh-token-request.ts';
import type { Browser } from '../../http/browser.ts';
import { endpoint } from '../../http/endpoint.ts';
import { CsrfFailed } from '../../http/refusals.ts';
import { Answer } from '../../http/send.ts';
import { NotReady } from '../../kernel/refusal.ts';
import type { Logout, LogoutAll } from './logout.ts';

/** The cookie goes; and with it what else the site keeps in cookies (W3C Clear Site Data section 3.1). */
const forgetting = (browser: Browser) =>
  new Answer(undefined, { 'Set-Cookie': browser.clearCookie(), 'Clear-Site-Data': '"cookies"' });

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
    refusals: [CsrfFailed, NotReady],
    async handle({ body, client, browser }) {
      const { token, transport } = transports.presented(body, browser);
      await logout(token, client);
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
    needs: 'sessions',
    async handle({ caller, client, browser }) {
      await logoutAll(caller, client);
      return browser.refreshToken === undefined ? undefined : forgetting(browser);
    },
  });
