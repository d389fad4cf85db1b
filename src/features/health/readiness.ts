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

/**
 * Checks whether the process can serve requests. The state of Postgres and Redis is reported but does not decide: the JWKS must stay
 * available while they are down. @throws NotReady with the checks
 */
export const makeCheckReadiness =
  ({ readiness, isDatabaseResponding, redisIsUp }: ReadinessDeps) =>
  async (): Promise<Checks> => {
    const checks: Checks = {
      migrations: readiness.migrated ? 'applied' : 'pending',
      signing_key: readiness.keysLoaded() ? 'loaded' : 'missing',
      postgres: (await isDatabaseResponding()) ? 'up' : 'down',
      redis: !redisIsUp ? 'off' : redisIsUp() ? 'up' : 'down',
    };
    if (readiness.draining) throw new NotReady('draining', { checks });
    if (!readiness.migrated || !readiness.keysLoaded()) throw new NotReady('starting', { checks });
    return checks;
  };
