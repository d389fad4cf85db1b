import { InvalidTokenError, KeysUnavailableError } from './errors.ts';
import type { FetchedKeys, VerificationKey } from './fetch-keys.ts';

/** Where the issuer's answer says nothing; the service's own default, too. */
const defaultMaxAgeSeconds = 300;
/** However long the issuer allows: a key that it withdrew must go at some time. */
const maxMaxAgeSeconds = 3600;
/** How soon to ask again while there are no keys at all, and nothing can be answered. */
const firstRetrySeconds = 1;

export interface KeySetOptions {
  fetchKeys: () => Promise<FetchedKeys>;
  /** The least time between two fetches that unknown `kid`s, or failures, bring about. */
  cooldownSeconds: number;
  /** How long the last good set serves after it has gone stale, while the issuer does not answer. */
  staleIfErrorSeconds: number;
  nowMs: () => number;
}

interface Held {
  keys: ReadonlyMap<string, VerificationKey>;
  fetchedAtMs: number;
  maxAgeMs: number;
}

export interface KeySet {
  /** The key of this name. @throws InvalidTokenError for an unknown one, KeysUnavailableError where nobody can tell */
  find(kid: string): VerificationKey | Promise<VerificationKey>;
}

/**
 * The issuer's keys, in memory. Up to their `max-age` they are served as they are; up to twice that, they are served
 * while a fetch goes on behind (RFC 5861 section 3); then the fetch is awaited. Where it fails, the old set serves on
 * (RFC 5861 section 4) until `staleIfErrorSeconds` are over.
 */
export function makeKeySet({ fetchKeys, cooldownSeconds, staleIfErrorSeconds, nowMs }: KeySetOptions): KeySet {
  let held: Held | undefined;
  let pending: Promise<void> | undefined;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let failure: unknown;

  /** One at a time, and whoever needs it waits for the same one. A failure is kept, not thrown. */
  const refetch = (): Promise<void> => {
    pending ??= (async () => {
      triedAtMs = nowMs();
      try {
        const { keys, maxAgeSeconds = defaultMaxAgeSeconds } = await fetchKeys();
        held = { keys, fetchedAtMs: nowMs(), maxAgeMs: Math.min(maxAgeSeconds, maxMaxAgeSeconds) * 1000 };
        failure = undefined;
      } catch (error) {
        failure = error;
      } finally {
        pending = undefined;
      }
    })();
    return pending;
  };

  const pauseSeconds = () => (held ? cooldownSeconds : Math.min(cooldownSeconds, firstRetrySeconds));
  const mayFetch = () => pending !== undefined || nowMs() - triedAtMs >= pauseSeconds() * 1000;
  const ageMs = ({ fetchedAtMs }: Held) => nowMs() - fetchedAtMs;
  const isUsable = (set: Held) => ageMs(set) < set.maxAgeMs + staleIfErrorSeconds * 1000;
  const unavailable = () => new KeysUnavailableError(Math.ceil(pauseSeconds()), { cause: failure });

  const lookUp = async (kid: string): Promise<VerificationKey> => {
    const isOld = !held || ageMs(held) >= 2 * held.maxAgeMs;
    // Known to be down: nobody waits for the next time-out as long as the old set serves.
    const isDown = failure !== undefined && held !== undefined && isUsable(held);
    if (held && ageMs(held) >= held.maxAgeMs && mayFetch() && (!isOld || isDown)) void refetch();
    else if (isOld && mayFetch()) await refetch();
    if (!held || !isUsable(held)) throw unavailable();
    const known = held.keys.get(kid);
    if (known) return known;
    if (mayFetch()) await refetch();
    const found = held.keys.get(kid);
    if (found) return found;
    throw failure === undefined ? new InvalidTokenError('no key of that name') : unavailable();
  };

  return {
    find(kid) {
      const known = held && ageMs(held) < held.maxAgeMs ? held.keys.get(kid) : undefined;
      return known ?? lookUp(kid);
    },
  };
}
