import { InvalidTokenError, KeysUnavailableError } from './errors.ts';
import type { FetchedKeys, VerificationKey } from './fetch-keys.ts';

/** Used if the response has no `max-age`. The same as the service's default. */
const defaultMaxAgeSeconds = 300;
/** Limits the `max-age` of the issuer, so that a revoked key is dropped. */
const maxMaxAgeSeconds = 3600;
/** The shorter cooldown while there are no keys at all. */
const firstRetrySeconds = 1;

export interface KeySetOptions {
  fetchKeys: () => Promise<FetchedKeys>;
  /** The minimum time between two fetches because of unknown `kid`s or errors. */
  cooldownSeconds: number;
  /** How long stale keys are used while the issuer is down. */
  staleIfErrorSeconds: number;
  nowMs: () => number;
}

interface CachedKeys {
  keys: ReadonlyMap<string, VerificationKey>;
  fetchedAtMs: number;
  maxAgeMs: number;
}

export interface KeySet {
  /** @throws InvalidTokenError for an unknown `kid`, KeysUnavailableError if the keys cannot be fetched */
  find(kid: string): VerificationKey | Promise<VerificationKey>;
}

/**
 * Caches the issuer's keys. Up to twice their `max-age`, stale keys are used while a fetch runs in the background
 * (RFC 5861 section 3); after that the fetch is awaited. If it fails, the stale keys are used for
 * `staleIfErrorSeconds` (RFC 5861 section 4).
 */
export function makeKeySet({ fetchKeys, cooldownSeconds, staleIfErrorSeconds, nowMs }: KeySetOptions): KeySet {
  let cached: CachedKeys | undefined;
  let pending: Promise<void> | undefined;
  let lastFetchAtMs = Number.NEGATIVE_INFINITY;
  let failure: unknown;

  /** Concurrent callers share one fetch. Never rejects; stores the error in `failure`. */
  const refetch = (): Promise<void> => {
    pending ??= (async () => {
      lastFetchAtMs = nowMs();
      try {
        const { keys, maxAgeSeconds = defaultMaxAgeSeconds } = await fetchKeys();
        cached = { keys, fetchedAtMs: nowMs(), maxAgeMs: Math.min(maxAgeSeconds, maxMaxAgeSeconds) * 1000 };
        failure = undefined;
      } catch (error) {
        failure = error;
      } finally {
        pending = undefined;
      }
    })();
    return pending;
  };

  const waitSeconds = () => (cached ? cooldownSeconds : Math.min(cooldownSeconds, firstRetrySeconds));
  const mayFetch = () => pending !== undefined || nowMs() - lastFetchAtMs >= waitSeconds() * 1000;
  const ageMs = ({ fetchedAtMs }: CachedKeys) => nowMs() - fetchedAtMs;
  const isUsable = (set: CachedKeys) => ageMs(set) < set.maxAgeMs + staleIfErrorSeconds * 1000;
  const unavailable = () => new KeysUnavailableError(Math.ceil(waitSeconds()), { cause: failure });

  const lookUp = async (kid: string): Promise<VerificationKey> => {
    const isOld = !cached || ageMs(cached) >= 2 * cached.maxAgeMs;
    // During an outage no request waits for the next timeout while the cached keys are usable.
    const isDown = failure !== undefined && cached !== undefined && isUsable(cached);
    if (cached && ageMs(cached) >= cached.maxAgeMs && mayFetch() && (!isOld || isDown)) void refetch();
    else if (isOld && mayFetch()) await refetch();
    if (!cached || !isUsable(cached)) throw unavailable();
    const known = cached.keys.get(kid);
    if (known) return known;
    if (mayFetch()) await refetch();
    const found = cached.keys.get(kid);
    if (found) return found;
    throw failure === undefined ? new InvalidTokenError('unknown "kid"') : unavailable();
  };

  return {
    find(kid) {
      const known = cached && ageMs(cached) < cached.maxAgeMs ? cached.keys.get(kid) : undefined;
      return known ?? lookUp(kid);
    },
  };
}
