import type { Browser } from '../../http/browser.ts';
import { CsrfFailed, ValidationFailed } from '../../http/refusals.ts';
import { Answer } from '../../http/send.ts';
import { idToBytes, type SessionId } from '../../kernel/id.ts';
import { fromBase64Url, hmacSha256, secretsEqual } from '../../kernel/secret.ts';
import type { MasterKey, MasterKeys } from '../keys/master-keys.ts';
import type { RefreshTokenRequest } from '../tokens/refresh-token-request.ts';
import type { TokenResponse, Transport } from '../tokens/token-response.ts';
import type { Ratchet, RefreshToken } from './ratchet.ts';

/** The refresh token of a request, and how it came. */
export interface Presented {
  text: string;
  transport: Transport;
}

/** How refresh tokens travel: in bodies, or in a cookie that no script can read. Never in both. */
export interface Transports {
  /** @throws ValidationFailed where both or none are there, CsrfFailed for a cookie that no page of ours sent */
  presented(body: RefreshTokenRequest, browser: Browser): Presented;
  /** What a request would present, without a look at who sent it; for counting. */
  session(body: RefreshTokenRequest, browser: Browser): SessionId | undefined;
  /** The session whose cookie a login overwrites. */
  replaced(transport: Transport, browser: Browser): SessionId | undefined;
  /** @throws CsrfFailed for a page of a foreign origin that would have the cookie set */
  guard(transport: Transport, browser: Browser): void;
  /** The answer with its refresh token where it belongs. */
  deliver<Reply extends TokenResponse>(reply: Reply, transport: Transport, browser: Browser): Reply | Answer<Reply>;
  /** The CSRF token of the session that the cookie is of; undefined for none of ours. @throws CsrfFailed */
  csrfToken(browser: Browser): string | undefined;
}

/**
 * A double submit that is bound to the session (OWASP CSRF Prevention Cheat Sheet, "Signed Double-Submit Cookie"): stable
 * over turns, so that tabs do not lose it to each other.
 */
const csrfTokenOf = (sessionId: SessionId, key: MasterKey): Buffer => hmacSha256(key.csrf, idToBytes(sessionId));

export function makeTransports({ ratchet, masterKeys }: { ratchet: Ratchet; masterKeys: MasterKeys }): Transports {
  const [masterKey] = masterKeys;

  const requireCsrfToken = ({ sessionId }: RefreshToken, { csrfToken }: Browser): void => {
    const given = fromBase64Url(csrfToken ?? '');
    if (!given || !masterKeys.some((key) => secretsEqual(csrfTokenOf(sessionId, key), given)))
      throw new CsrfFailed('csrf token');
  };
  const csrfFor = (sessionId: SessionId) => csrfTokenOf(sessionId, masterKey).toString('base64url');
  const ofCookie = (browser: Browser) => ratchet.parse(browser.refreshToken ?? '');

  return {
    presented({ refresh_token: text }, browser) {
      const { refreshToken: cookie } = browser;
      if (text !== undefined && cookie === undefined) return { text, transport: 'body' };
      if (text !== undefined) throw fault('must not come with a cookie that holds one, too');
      if (cookie === undefined && browser.csrfToken === undefined) throw fault('is needed, here or in the cookie');
      browser.requireOurOrigin();
      const token = ofCookie(browser);
      if (token) requireCsrfToken(token, browser);
      return { text: cookie ?? '', transport: 'cookie' };
    },

    session: ({ refresh_token: text }, browser) => ratchet.parse(text ?? browser.refreshToken ?? '')?.sessionId,

    guard: (transport, browser) => void (transport === 'cookie' && browser.refuseForeignOrigin()),

    replaced: (transport, browser) => (transport === 'cookie' ? ofCookie(browser)?.sessionId : undefined),

    deliver(reply, transport, browser) {
      const { refresh_token: token, refresh_expires_in: seconds, session_id: id } = reply;
      if (transport === 'body' || token === undefined) return reply;
      const body = { ...reply, refresh_token: undefined, csrf_token: csrfFor(id as SessionId) };
      return new Answer(body, { 'Set-Cookie': browser.setCookie(token, seconds) });
    },

    csrfToken(browser) {
      browser.requireOurOrigin();
      const token = ofCookie(browser);
      return token && csrfFor(token.sessionId);
    },
  };
}

const fault = (message: string) => new ValidationFailed([{ path: 'refresh_token', message }]);
