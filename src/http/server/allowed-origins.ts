// The pages of other origins that can call the service with credentials, and warnings about those that cannot.
import { monotonicMs } from '../../lib/clock.ts';
import { isLoopback, isOrigin } from '../../lib/network.ts';
import type { Logger } from '../../platform/log.ts';

export interface AllowedOriginsConfig {
  /** `CORS_ORIGINS` */
  corsOrigins: readonly string[];
  /** Whether the pages of any server on this machine are allowed, for development. */
  allowsLocalOrigins: boolean;
}

/** Decides about the origin of a page, as a browser sends it. */
export interface AllowedOrigins {
  has(origin: string): boolean;
  /** Logs a page that was refused because of its origin. */
  warnOfOrigin(origin: string): void;
  /** Logs a page that was refused the cookie because it is on another site. */
  warnOfSite(origin: string): void;
  /** Logs a request header that the page of an allowed origin cannot send. */
  warnOfHeader(origin: string, header: string): void;
}

const isLocal = (origin: string): boolean => /^https?:/.test(origin) && isOrigin(origin) && isLoopback(origin);

const maxWarnings = 100;
const warningPeriodMs = 3_600_000;
const maxLoggedLength = 200;

/** Browsers do not tell pages why they are refused, so the log does, once per origin and hour. */
export function makeAllowedOrigins(
  { corsOrigins, allowsLocalOrigins }: AllowedOriginsConfig,
  log: Logger,
): AllowedOrigins {
  // A quota for each kind, so that invented origins do not hide the warnings about the app's own pages.
  const kind = () => makeIsNew(maxWarnings, warningPeriodMs);
  const isNew = { origin: kind(), site: kind(), header: kind() };
  const warn = (about: keyof typeof isNew, facts: { origin: string; header?: string }, message: string) => {
    const { origin, header = '' } = facts;
    const isFromBrowser = origin.length <= maxLoggedLength && (origin === 'null' || isOrigin(origin));
    if (isFromBrowser && header.length <= maxLoggedLength && isNew[about](`${origin} ${header}`))
      log.warn(facts, message);
  };
  return {
    has: (origin) => corsOrigins.includes(origin) || (allowsLocalOrigins && isLocal(origin)),
    warnOfOrigin: (origin) =>
      warn(
        'origin',
        { origin },
        origin === 'null'
          ? 'refused a page without an origin, such as a file: serve it over http'
          : 'refused a page of another origin; to allow it, add the origin to CORS_ORIGINS',
      ),
    warnOfSite: (origin) =>
      warn(
        'site',
        { origin },
        'refused the cookie to a page on another site; use the same host name for both (localhost and 127.0.0.1 are two sites), or set COOKIE_SAMESITE=none',
      ),
    warnOfHeader: (origin, header) =>
      warn(
        'header',
        { origin, header },
        'refused a page that sends another request header; to allow it, add the header to CORS_ALLOWED_HEADERS',
      ),
  };
}

/**
 * Returns a function that tells whether a key is new within the period. It remembers up to `max` keys; while it is full, every other
 * key counts as known. So neither its memory nor what is done for new keys grows with the keys that clients invent.
 */
function makeIsNew(max: number, periodMs: number): (key: string) => boolean {
  const known = new Set<string>();
  let startedMs = -Infinity;
  return (key) => {
    if (monotonicMs() - startedMs > periodMs) {
      known.clear();
      startedMs = monotonicMs();
    }
    if (known.has(key) || known.size >= max) return false;
    known.add(key);
    return true;
  };
}
