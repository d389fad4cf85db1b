import { loadDirectUrl } from '../config.ts';
import { applyMigrations } from '../platform/migrations.ts';
import { type Command, UsageError } from './command.ts';

/** Applies the pending migrations to DATABASE_DIRECT_URL or, without it, DATABASE_URL. */
export const migrate: Command = {
  async run(args, { env, stdout }) {
    if (args.length > 0) throw new UsageError();
    const applied = await applyMigrations(loadDirectUrl(env));
    const lines = applied.length > 0 ? applied.map((name) => `applied ${name}`) : ['nothing to apply'];
    stdout.write(`${lines.join('\n')}\n`);
  },
};
