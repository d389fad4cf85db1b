import { type Environment, loadDirectUrl } from '../config/environment.ts';
import { StartupError } from '../lib/errors.ts';
import { pendingMigrations } from '../platform/migrations.ts';
import { type Database, DatabaseUnavailable, openDatabase, queryText, sentenceOf } from '../platform/postgres.ts';
import { parseConnectionUrl } from '../platform/postgres/connection.ts';
import { permissionErrorOf, requireConnection } from '../platform/postgres/connection-errors.ts';
import { openPool } from '../platform/postgres/pool.ts';
import { findUnmetRequirement } from '../platform/postgres/requirements.ts';

export interface CliDatabaseOptions {
  /** The maximum duration of a statement. */
  timeoutSeconds: number;
  /** Whether to use prepared statements, for commands that repeat the same statements. */
  namedStatements: boolean;
}

/**
 * Runs a command on one direct connection to Postgres.
 * @throws StartupError if the database is unavailable or lacks migrations
 */
export async function withDatabase<Result>(
  env: Environment,
  { timeoutSeconds, namedStatements }: CliDatabaseOptions,
  work: (db: Database) => Promise<Result>,
): Promise<Result> {
  const config = {
    url: loadDirectUrl(env),
    poolMax: 1,
    timeoutSeconds,
    pooled: false,
    statementNames: namedStatements,
  };
  const pool = openPool(config);
  const db = openDatabase(config, pool);
  try {
    await requireConnection(pool, config.url);
    const unmet = await findUnmetRequirement(queryText(db), parseConnectionUrl(config.url).schema);
    if (unmet !== undefined) throw new StartupError(unmet);
    const pending = await pendingMigrations(queryText(db));
    if (pending.length > 0)
      throw new StartupError(`Migrations are not applied: ${pending.join(', ')}. Run npm run db:migrate.`);
    return await work(db);
  } catch (cause) {
    if (!(cause instanceof DatabaseUnavailable)) throw permissionErrorOf(cause) ?? cause;
    throw new StartupError(`The database is unavailable: ${sentenceOf(cause)}`, { cause });
  } finally {
    await db.$disconnect();
  }
}
