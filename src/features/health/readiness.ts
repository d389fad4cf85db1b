import { monotonicMs } from '../../lib/clock.ts';
import { NotReady } from '../../lib/errors.ts';

/** The state that decides whether a process receives requests. */
export interface Readiness {
  migrated: boolean;
  keysLoaded: () => boolean;
  draining: boolean;
}

export interface Checks {
  migrations: 'applied' | 'pending';
  signing_key: 'loaded' | 'missing';
  postgres: 'up' | 'down';
  redis: 'up' | 'down' | 'off';
}

export interface ReadinessDeps {
  readiness: Readiness;
  /** Whether Postgres responds within a second. Never rejects. */
  isDatabaseResponding: () => Promise<boolean>;
  /** Undefined if Redis is not configured. */
  redisIsUp: (() => boolean) | undefined;
}

/** How long the state of Postgres is known. `/readyz` is public and has no limit, so requests must not become queries. */
const knownMs = 1000;

/** Remembers the result for a second. Concurrent calls share one check. */
function rememberForASecond(check: () => Promise<boolean>): () => Promise<boolean> {
  let latest: { result: Promise<boolean>; endsMs: number } | undefined;
  return () => {
    if (latest && monotonicMs() < latest.endsMs) return latest.result;
    const result = check();
    latest = { result, endsMs: monotonicMs() + knownMs };
    return result;
  };
}

/**
 * Checks whether the process can serve requests. The state of Postgres and Redis is reported but does not decide: the JWKS must stay
 * available while they are down. @throws NotReady with the checks
 */
export const makeCheckReadiness = ({ readiness, isDatabaseResponding, redisIsUp }: ReadinessDeps) => {
  const isResponding = rememberForASecond(isDatabaseResponding);
  return async (): Promise<Checks> => {
    const checks: Checks = {
      migrations: readiness.migrated ? 'applied' : 'pending',
      signing_key: readiness.keysLoaded() ? 'loaded' : 'missing',
      postgres: (await isResponding()) ? 'up' : 'down',
      redis: !redisIsUp ? 'off' : redisIsUp() ? 'up' : 'down',
    };
    if (readiness.draining) throw new NotReady('draining', { checks });
    if (!readiness.migrated || !readiness.keysLoaded()) throw new NotReady('starting', { checks });
    return checks;
  };
};
