import { loadDirectUrl } from '../config.ts';
import { StartupError } from '../lib/errors.ts';
import { makeLogger } from '../platform/log.ts';
import { pendingMigrations } from '../platform/migrations.ts';
import { type Database, DatabaseUnavailable, openDatabase, queryText, sentenceOf } from '../platform/postgres.ts';
import { openPool } from '../platform/postgres-pool.ts';

export interface CliDatabaseOptions {
  /** How long a statement may take. */
  timeoutSeconds: number;
  /** Whether one connection runs the same statements again and again, which must then have names. */
  repeats: boolean;
}

/**
 * Runs a command's work on one connection to Postgres itself, whose migrations are applied.
 * @throws StartRefused with a sentence where the database cannot be used
 */
export async function withDatabase<Result>(
  { timeoutSeconds, repeats }: CliDatabaseOptions,
  work: (db: Database) => Promise<Result>,
): Promise<Result> {
  const settings = { url: loadDirectUrl(), poolMax: 1, timeoutSeconds, pooled: true, statementNames: repeats };
  const log = makeLogger({ level: 'silent', pretty: false });
  const db = openDatabase(
    settings,
    openPool(settings, () => {}),
    log,
  );
  try {
    const pending = await pendingMigrations(queryText(db));
    if (pending.length > 0)
      throw new StartupError(`Migrations are not applied: ${pending.join(', ')}. Run npm run db:migrate.`);
    return await work(db);
  } catch (cause) {
    if (!(cause instanceof DatabaseUnavailable)) throw cause;
    throw new StartupError(`The database cannot be used: ${sentenceOf(cause)}`, { cause });
  } finally {
    await db.$disconnect();
  }
}
