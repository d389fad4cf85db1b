import type { BrowserRequest } from './csrf.ts';
import { ValidationFailed } from '../core/errors.ts';
import { CsrfFailed } from './errors.ts';
import { ResponseWithHeaders } from './response.ts';
import { idToBytes, type SessionId } from '../lib/ids.ts';
import { fromBase64Url, hmacSha256, secretsEqual } from '../lib/secrets.ts';
import type { MasterKey, MasterKeys } from '../lib/master-keys.ts';
import type { RefreshTokenRequest } from './schemas/refresh-token-request.ts';
import type { TokenResponse, Transport } from './schemas/token-response.ts';
import type { Ratchet, RefreshToken } from '../core/sessions/refresh-token.ts';

/** The refresh token of a request, and how it came. */
export interface Presented {
  /** Undefined where it is none of ours. */
  token: RefreshToken | undefined;
  transport: Transport;
}

/** How refresh tokens travel: in bodies, or in a cookie that no script can read. Never in both. */
export interface Transports {
  /** @throws ValidationFailed where both or none are there, CsrfFailed for a cookie that no page of ours sent */
  presented(body: RefreshTokenRequest, browser: BrowserRequest): Presented;
  /** Whose limit a request counts for; undefined where nobody shows that it is that session's own. */
  session(body: RefreshTokenRequest, browser: BrowserRequest): SessionId | undefined;
  /** The session whose cookie a login overwrites. */
  replaced(transport: Transport, browser: BrowserRequest): SessionId | undefined;
  /** @throws CsrfFailed for a page of a foreign origin that would have the cookie set */
  guard(transport: Transport, browser: BrowserRequest): void;
  /** The answer with its refresh token where it belongs. */
  deliver<Reply extends TokenResponse>(
    reply: Reply,
    transport: Transport,
    browser: BrowserRequest,
  ): Reply | ResponseWithHeaders<Reply>;
  /** The CSRF token of the session that the cookie is of; undefined for none of ours. @throws CsrfFailed */
  csrfToken(browser: BrowserRequest): string | undefined;
}

/**
 * A double submit that is bound to the session (OWASP CSRF Prevention Cheat Sheet, "Signed Double-Submit Cookie"): stable
 * over turns, so that tabs do not lose it to each other.
 */
const csrfTokenOf = (sessionId: SessionId, key: MasterKey): Buffer => hmacSha256(key.csrf, idToBytes(sessionId));

export function makeTransports({ ratchet, masterKeys }: { ratchet: Ratchet; masterKeys: MasterKeys }): Transports {
  const [masterKey] = masterKeys;

  const requireCsrfToken = ({ sessionId }: RefreshToken, { csrfToken }: BrowserRequest): void => {
    const given = fromBase64Url(csrfToken ?? '');
    if (!given || !masterKeys.some((key) => secretsEqual(csrfTokenOf(sessionId, key), given)))
      throw new CsrfFailed('csrf token');
  };
  const csrfFor = (sessionId: SessionId) => csrfTokenOf(sessionId, masterKey).toString('base64url');
  const parsed = new WeakMap<BrowserRequest, RefreshToken | undefined>();
  /** A request's limit and its use-case ask for the same token: its MAC is computed once. */
  const parse = (text: string, browser: BrowserRequest): RefreshToken | undefined => {
    if (!parsed.has(browser)) parsed.set(browser, ratchet.parse(text));
    return parsed.get(browser);
  };
  const ofCookie = (browser: BrowserRequest) => parse(browser.refreshToken ?? '', browser);

  return {
    presented({ refresh_token: text }, browser) {
      const { refreshToken: cookie } = browser;
      if (text !== undefined && cookie === undefined) return { token: parse(text, browser), transport: 'body' };
      if (text !== undefined) throw fault('must not come with a cookie that holds one, too');
      if (cookie === undefined && browser.csrfToken === undefined) throw fault('is needed, here or in the cookie');
      browser.requireOurOrigin();
      const token = ofCookie(browser);
      if (token) requireCsrfToken(token, browser);
      return { token, transport: 'cookie' };
    },

    session({ refresh_token: text }, browser) {
      if (text !== undefined) return parse(text, browser)?.sessionId;
      // A foreign page can have the cookie sent, and must not use up the limit of its session.
      return browser.isOurOrigin() ? ofCookie(browser)?.sessionId : undefined;
    },

    guard: (transport, browser) => void (transport === 'cookie' && browser.refuseForeignOrigin()),

    replaced: (transport, browser) => (transport === 'cookie' ? ofCookie(browser)?.sessionId : undefined),

    deliver(reply, transport, browser) {
      const { refresh_token: token, refresh_expires_in: seconds, session_id: id } = reply;
      if (transport === 'body' || token === undefined) return reply;
      const body = { ...reply, refresh_token: undefined, csrf_token: csrfFor(id as SessionId) };
      return new ResponseWithHeaders(body, { 'Set-Cookie': browser.setCookie(token, seconds) });
    },

    csrfToken(browser) {
      browser.requireOurOrigin();
      const token = ofCookie(browser);
      return token && csrfFor(token.sessionId);
    },
  };
}

const fault = (message: string) => new ValidationFailed([{ path: 'refresh_token', message }]);
