import { loadDirectUrl } from '../config/environment.ts';
import { StartupError } from '../lib/errors.ts';
import { applyMigrations } from '../platform/migrations.ts';
import { queryText } from '../platform/postgres.ts';
import { findSchemaProblem } from '../platform/postgres/schema-check.ts';
import { type Command, refuseMore } from './command.ts';
import { withDatabase } from './database.ts';
import { environmentOf } from './environment.ts';

/**
 * Applies the pending migrations to DATABASE_DIRECT_URL or, without it, DATABASE_URL. Fails if something that they created is missing
 * afterwards, because the service would not become ready.
 */
export const migrate: Command = {
  async run(args, terminal) {
    refuseMore(args);
    const env = await environmentOf(terminal, loadDirectUrl);
    const applied = await applyMigrations(loadDirectUrl(env));
    const lines = applied.length > 0 ? applied.map((name) => `applied ${name}`) : ['nothing to apply'];
    terminal.stdout.write(`${lines.join('\n')}\n`);
    const problem = await withDatabase(env, { timeoutSeconds: 60, namedStatements: false }, (db) =>
      findSchemaProblem(queryText(db)),
    );
    if (problem) throw new StartupError(problem.reason);
  },
};
