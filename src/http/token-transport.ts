import { ResponseWithHeaders } from './endpoint.ts';
import { stringifySetCookie } from 'cookie';
import { ValidationFailed } from '../core/errors.ts';
import type { Ratchet, RefreshToken } from '../core/sessions/refresh-token.ts';
import type { IssuedTokens } from '../core/tokens/issue-tokens.ts';
import type { SessionId } from '../lib/ids.ts';
import type { MasterKeys } from '../lib/master-keys.ts';
import type { AllowedOrigins } from './server/allowed-origins.ts';
import { type BrowserHeaders, makeCsrf, type SameSite } from './csrf.ts';
import type { RefreshTokenRequest } from './schemas/refresh-token-request.ts';
import { type TokenResponse, toTokenResponse, type Transport } from './schemas/token-response.ts';

export interface PresentedToken {
  /** Undefined if this service did not issue it. */
  token: RefreshToken | undefined;
  transport: Transport;
}

/** Delivers refresh tokens in response bodies, or in a cookie that scripts cannot read. Never in both. */
export interface TokenTransport {
  /**
   * Reads the refresh token of the body or the cookie. @throws ValidationFailed if the request has both or neither, CsrfFailed
   * if no page of an allowed origin sent the cookie
   */
  presentedToken(body: RefreshTokenRequest, browser: BrowserHeaders): PresentedToken;
  /** The session whose cookie a login overwrites. @throws CsrfFailed if a page of a foreign origin requests a cookie */
  replacedSession(transport: Transport, browser: BrowserHeaders): SessionId | undefined;
  /** The response with an access token, and with the refresh token where the transport requires it. */
  deliver(tokens: IssuedTokens, transport: Transport): ResponseWithHeaders<TokenResponse>;
  hasCookie(browser: BrowserHeaders): boolean;
  /** The response that deletes the cookie, and no other: apps on the same site have cookies of their own. */
  clearCookie(): ResponseWithHeaders<undefined>;
  /** The CSRF token of the cookie's session; undefined without a genuine cookie. @throws CsrfFailed */
  csrfToken(browser: BrowserHeaders): string | undefined;
}

export interface TokenTransportDeps {
  ratchet: Pick<Ratchet, 'parse'>;
  masterKeys: MasterKeys;
  /** The issuer without a trailing slash. */
  baseUrl: string;
  allowedOrigins: AllowedOrigins;
  cookieSameSite: SameSite;
  cookiePartitioned: boolean;
}

export function makeTokenTransport(deps: TokenTransportDeps): TokenTransport {
  const { ratchet, masterKeys, baseUrl, allowedOrigins, cookieSameSite: sameSite, cookiePartitioned } = deps;
  const secure = baseUrl.startsWith('https:');
  // RFC 6265bis section 4.1.3.2: browsers accept `__Host-` only over https, from this host and for every path.
  const cookieName = secure ? '__Host-refresh_token' : 'refresh_token';
  const csrf = makeCsrf({ ownOrigin: new URL(baseUrl).origin, allowedOrigins, sameSite, masterKeys });

  /**
   * The raw value: decoding would give one token several encodings. The last one: after COOKIE_PARTITIONED changed, browsers send two
   * cookies of this name, the older one first (RFC 6265 section 5.4). An empty one counts as missing.
   */
  const cookieOf = ({ cookie = '' }: BrowserHeaders): string | undefined => {
    const pair = cookie.split(';').findLast((each) => each.trim().startsWith(`${cookieName}=`));
    return pair?.trim().slice(cookieName.length + 1) || undefined;
  };
  const cookieToken = (browser: BrowserHeaders) => ratchet.parse(cookieOf(browser) ?? '');
  const line = (value: string, maxAge: number, partitioned: boolean) =>
    stringifySetCookie({ name: cookieName, value, maxAge, path: '/', httpOnly: true, secure, sameSite, partitioned });
  /** Only a cookie for other sites can have been set under the other value of COOKIE_PARTITIONED. */
  const staleCookies = secure && sameSite === 'none' ? [line('', 0, !cookiePartitioned)] : [];
  /**
   * Browsers replace or delete a cookie only if its name, host, path and partition are the same. The other variant is deleted first,
   * for browsers that ignore `Partitioned`: to them both are one cookie, and the last line decides.
   */
  const setCookie = (value: string, maxAge: number) => ({
    'Set-Cookie': [...staleCookies, line(value, maxAge, cookiePartitioned)],
  });

  return {
    presentedToken({ refresh_token: text }, browser) {
      const cookie = cookieOf(browser);
      if (text && cookie !== undefined) throw invalid('must not be combined with the cookie');
      if (text !== undefined && cookie === undefined) return { token: ratchet.parse(text), transport: 'body' };
      if (cookie === undefined && browser.csrfToken === undefined) throw invalid('is required, here or in the cookie');
      csrf.requireAllowedOrigin(browser);
      const token = ratchet.parse(cookie ?? '');
      if (token) csrf.requireToken(token.sessionId, browser);
      return { token, transport: 'cookie' };
    },

    replacedSession(transport, browser) {
      if (transport === 'body') return undefined;
      csrf.refuseForeignOrigin(browser);
      return cookieToken(browser)?.sessionId;
    },

    deliver(tokens, transport) {
      const response = toTokenResponse(tokens);
      if (transport === 'body') return new ResponseWithHeaders(response, {});
      const { refresh_token: _, ...body } = response;
      return new ResponseWithHeaders<TokenResponse>(
        { ...body, csrf_token: csrf.tokenOf(tokens.sessionId) },
        setCookie(tokens.refreshToken, tokens.refreshExpiresInSeconds),
      );
    },

    hasCookie: (browser) => cookieOf(browser) !== undefined,

    clearCookie: () => new ResponseWithHeaders(undefined, setCookie('', 0)),

    csrfToken(browser) {
      csrf.requireAllowedOrigin(browser);
      const token = cookieToken(browser);
      return token && csrf.tokenOf(token.sessionId);
    },
  };
}

const invalid = (message: string) => new ValidationFailed([{ path: 'refresh_token', message }]);
