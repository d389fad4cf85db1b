import { NotReady } from '../../kernel/refusal.ts';

/** What keeps a process out of service. The state of the database is told, but does not: JWKS must stay up. */
export interface Readiness {
  migrated: boolean;
  keysLoaded: () => boolean;
  draining: boolean;
}

export interface Checks {
  migrations: 'applied' | 'pending';
  signing_key: 'loaded' | 'missing';
  postgres: 'up' | 'down';
}

export interface ReadinessDeps {
  readiness: Readiness;
  /** Whether Postgres answers now; never throws, and is quick to say no. */
  databaseAnswers: () => Promise<boolean>;
}

/** @throws NotReady while starting, unmigrated, without a signing key, or draining; with the checks in its body */
export async function readyz({ readiness, databaseAnswers }: ReadinessDeps): Promise<Checks> {
  const checks: Checks = {
    migrations: readiness.migrated ? 'applied' : 'pending',
    signing_key: readiness.keysLoaded() ? 'loaded' : 'missing',
    postgres: (await databaseAnswers()) ? 'up' : 'down',
  };
  if (readiness.draining) throw new NotReady('draining', { checks });
  if (!readiness.migrated || !readiness.keysLoaded()) throw new NotReady('starting', { checks });
  return checks;
}
