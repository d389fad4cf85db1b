import type { Request } from 'express';
import { idToBytes, type SessionId } from '../lib/ids.ts';
import type { MasterKey, MasterKeys } from '../lib/master-keys.ts';
import { fromBase64Url, hmacSha256, secretsEqual } from '../lib/secrets.ts';
import type { AllowedOrigins } from './server/allowed-origins.ts';
import { CsrfFailed } from './errors.ts';

export type SameSite = 'lax' | 'strict' | 'none';

/** The parts of a request that cookie authentication depends on. */
export interface BrowserHeaders {
  readonly method: string;
  readonly cookie: string | undefined;
  /** Pages cannot forge it. Browsers omit it for same-origin GET requests. */
  readonly origin: string | undefined;
  /** `Sec-Fetch-Site` */
  readonly fetchSite: string | undefined;
  /** `X-CSRF-Token`. Pages of other sites can neither read nor send it. */
  readonly csrfToken: string | undefined;
}

export const browserHeadersOf = ({ method, headers }: Request): BrowserHeaders => ({
  method,
  cookie: headers.cookie,
  origin: headers.origin,
  fetchSite: textOf(headers['sec-fetch-site']),
  csrfToken: textOf(headers['x-csrf-token']),
});

/** An empty CSRF token is wrong rather than missing: the client that sends it uses the cookie. */
const textOf = (header: string | string[] | undefined) => (typeof header === 'string' ? header : undefined);

export interface CsrfDeps {
  /** The origin of this service, whose pages can use the cookie. */
  ownOrigin: string;
  /** Other origins whose pages can use it. */
  allowedOrigins: AllowedOrigins;
  sameSite: SameSite;
  masterKeys: MasterKeys;
}

export interface Csrf {
  /** Requires proof that a page of an allowed origin sent the request. @throws CsrfFailed */
  requireAllowedOrigin(browser: BrowserHeaders): void;
  /** Like `requireAllowedOrigin`, but accepts clients that are not browsers. They have no cookie to abuse. @throws CsrfFailed */
  refuseForeignOrigin(browser: BrowserHeaders): void;
  /** The CSRF token of a session. Rotations do not change it, so tabs do not invalidate each other's tokens. */
  tokenOf(sessionId: SessionId): string;
  /** @throws CsrfFailed */
  requireToken(sessionId: SessionId, browser: BrowserHeaders): void;
}

/** OWASP CSRF Prevention Cheat Sheet, "Signed Double-Submit Cookie". */
const macOf = (sessionId: SessionId, key: MasterKey): Buffer => hmacSha256(key.csrf, idToBytes(sessionId));

const crossSiteDetail =
  'Pages on another site than the service cannot use the cookie. Use the same host name for both, or COOKIE_SAMESITE=none.';

export function makeCsrf({ ownOrigin, allowedOrigins, sameSite, masterKeys }: CsrfDeps): Csrf {
  const refuseForeignOrigin = ({ origin, fetchSite }: BrowserHeaders): void => {
    if (origin !== undefined && origin !== ownOrigin && !allowedOrigins.has(origin)) {
      allowedOrigins.warnOfOrigin(origin);
      throw new CsrfFailed('origin');
    }
    // SameSite=None declares that the app is on another site.
    if (fetchSite !== 'cross-site' || sameSite === 'none') return;
    if (origin !== undefined) allowedOrigins.warnOfSite(origin);
    throw new CsrfFailed('cross-site', { detail: crossSiteDetail });
  };
  return {
    refuseForeignOrigin,

    requireAllowedOrigin(browser) {
      const isSameOriginGet = browser.method === 'GET' && browser.fetchSite === 'same-origin';
      if (browser.origin === undefined && !isSameOriginGet) throw new CsrfFailed('no origin');
      refuseForeignOrigin(browser);
    },

    tokenOf: (sessionId) => macOf(sessionId, masterKeys[0]).toString('base64url'),

    requireToken(sessionId, { csrfToken }) {
      const presented = fromBase64Url(csrfToken ?? '');
      if (!presented || !masterKeys.some((key) => secretsEqual(macOf(sessionId, key), presented)))
        throw new CsrfFailed('csrf token');
    },
  };
}
