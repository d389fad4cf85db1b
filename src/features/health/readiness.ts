import { NotReady } from '../../lib/errors.ts';

/** What keeps a process out of service. The state of Postgres and Redis is told, but does not: JWKS must stay up. */
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
  /** Whether Postgres answers now; never throws, and is quick to say no. */
  databaseAnswers: () => Promise<boolean>;
  /** Undefined where there is none. */
  redisIsUp: (() => boolean) | undefined;
}

/** @throws NotReady while starting, unmigrated, without a signing key, or draining; with the checks in its body */
export async function readyz({ readiness, databaseAnswers, redisIsUp }: ReadinessDeps): Promise<Checks> {
  const checks: Checks = {
    migrations: readiness.migrated ? 'applied' : 'pending',
    signing_key: readiness.keysLoaded() ? 'loaded' : 'missing',
    postgres: (await databaseAnswers()) ? 'up' : 'down',
    redis: !redisIsUp ? 'off' : redisIsUp() ? 'up' : 'down',
  };
  if (readiness.draining) throw new NotReady('draining', { checks });
  if (!readiness.migrated || !readiness.keysLoaded()) throw new NotReady('starting', { checks });
  return checks;
}
