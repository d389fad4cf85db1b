import { NotReady } from '../../lib/errors.ts';
import { type Database, queryText } from '../../platform/postgres.ts';
import { findSchemaProblem, type SchemaProblem } from '../../platform/postgres/schema-check.ts';

/** The state that decides whether a process receives requests. */
export interface Readiness {
  /** `damaged`: something that the migrations created is missing. */
  migrations: 'applied' | 'pending' | 'damaged';
  keysLoaded: () => boolean;
  draining: boolean;
}

export interface Checks {
  migrations: Readiness['migrations'];
  signing_key: 'loaded' | 'missing';
  postgres: 'up' | 'down';
  redis: 'up' | 'down' | 'off';
}

export interface ReadinessDeps {
  readiness: Readiness;
  /** The result of the last check, so that `/readyz`, which is public and has no limit, causes no queries and never waits. */
  databaseIsUp: () => boolean;
  /** Undefined if Redis is not configured. */
  redisIsUp: (() => boolean) | undefined;
}

/**
 * Checks whether the process can serve requests. The state of Postgres and Redis is reported but does not decide: the JWKS must stay
 * available while they are down. @throws NotReady with the checks
 */
export const makeCheckReadiness =
  ({ readiness, databaseIsUp, redisIsUp }: ReadinessDeps) =>
  (): Checks => {
    const checks: Checks = {
      migrations: readiness.migrations,
      signing_key: readiness.keysLoaded() ? 'loaded' : 'missing',
      postgres: databaseIsUp() ? 'up' : 'down',
      redis: !redisIsUp ? 'off' : redisIsUp() ? 'up' : 'down',
    };
    if (readiness.draining) throw new NotReady('draining', { checks });
    if (readiness.migrations === 'damaged') throw new NotReady('the schema is damaged', { checks });
    if (readiness.migrations === 'pending' || !readiness.keysLoaded()) throw new NotReady('starting', { checks });
    return checks;
  };

/** Checks the schema and updates the readiness, which stays as it is if the database is unavailable. @throws DatabaseUnavailable */
export const makeCheckSchema =
  ({ db, readiness }: { db: Database; readiness: Readiness }) =>
  async (): Promise<SchemaProblem | undefined> => {
    const problem = await findSchemaProblem(queryText(db));
    readiness.migrations = problem?.state ?? 'applied';
    return problem;
  };

export type CheckSchema = ReturnType<typeof makeCheckSchema>;
