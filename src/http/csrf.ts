import type { Request } from 'express';
import { CsrfFailed } from './errors.ts';

export type SameSite = 'lax' | 'strict' | 'none';

/** What is believed of browsers, and where the refresh token of a browser app lives. */
export interface BrowserPolicy {
  cookieName: string;
  sameSite: SameSite;
  /** Without it a browser takes the cookie over plain http, too; for development on localhost. */
  secure: boolean;
  /** Origins whose pages may use the cookie: this service's own, and those of `CORS_ORIGINS`. */
  origins: readonly string[];
}

/** What a browser adds to a request by itself, and what a page of ours adds to it. */
export interface BrowserRequest {
  /** The refresh token of the cookie; undefined where there is none. */
  readonly refreshToken: string | undefined;
  /** `X-CSRF-Token`: a page of another site can neither read it nor send it. */
  readonly csrfToken: string | undefined;
  /**
   * Whether a page of ours calls. `Origin` decides, which no page can forge; where the browser left it out, as it does
   * for a GET of the page's own origin, `Sec-Fetch-Site` must say so. @throws CsrfFailed
   */
  requireOurOrigin(): void;
  /** Whether `requireOurOrigin` lets it pass. */
  isOurOrigin(): boolean;
  /** Like `requireOurOrigin`, but lets in what is no browser: where there is no cookie to be abused. @throws CsrfFailed */
  refuseForeignOrigin(): void;
  /** The `Set-Cookie` that gives the browser a refresh token, or takes it away. */
  setCookie(refreshToken: string, maxAgeSeconds: number): string;
  clearCookie(): string;
}

/** RFC 6265bis section 4.1.3.2: a name with `__Host-` is only taken over https, from this host, for every path. */
export const makeBrowserPolicy = (
  baseUrl: string,
  corsOrigins: readonly string[],
  sameSite: SameSite,
): BrowserPolicy => {
  const secure = baseUrl.startsWith('https:');
  return {
    cookieName: secure ? '__Host-refresh_token' : 'refresh_token',
    sameSite,
    secure,
    origins: [new URL(baseUrl).origin, ...corsOrigins],
  };
};

function cookieOf(req: Request, name: string): string | undefined {
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const [key, ...value] = pair.trim().split('=');
    if (key === name) return value.join('=');
  }
  return undefined;
}

const headerOf = (req: Request, name: string): string | undefined => {
  const value = req.headers[name];
  return typeof value === 'string' ? value : undefined;
};

const sameSiteNames = { lax: 'Lax', strict: 'Strict', none: 'None' };

export function browserRequestOf(req: Request, policy: BrowserPolicy): BrowserRequest {
  const { cookieName, sameSite, secure, origins } = policy;
  const [origin, site] = [headerOf(req, 'origin'), headerOf(req, 'sec-fetch-site')];
  const foreign = (): string | undefined => {
    if (origin !== undefined && !origins.includes(origin)) return 'origin';
    // A page on another site is only ever let in where the cookie is made for that.
    return site === 'cross-site' && sameSite !== 'none' ? 'cross-site' : undefined;
  };
  const notOurs = (): string | undefined =>
    origin === undefined && !(req.method === 'GET' && site === 'same-origin') ? 'no origin' : foreign();
  const refuse = (reason: string | undefined): void => {
    if (reason !== undefined) throw new CsrfFailed(reason);
  };
  const cookie = (value: string, maxAgeSeconds: number) =>
    `${cookieName}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; ${secure ? 'Secure; ' : ''}SameSite=${sameSiteNames[sameSite]}`;
  return {
    get refreshToken() {
      return cookieOf(req, cookieName);
    },
    csrfToken: headerOf(req, 'x-csrf-token'),
    isOurOrigin: () => notOurs() === undefined,
    refuseForeignOrigin: () => refuse(foreign()),
    requireOurOrigin: () => refuse(notOurs()),
    setCookie: cookie,
    clearCookie: () => cookie('', 0),
  };
}
