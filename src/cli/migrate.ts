import { loadDirectUrl } from '../config/environment.ts';
import { applyMigrations } from '../platform/migrations.ts';
import { type Command, UsageError } from './command.ts';
import { environmentOf } from './environment.ts';

/** Applies the pending migrations to DATABASE_DIRECT_URL or, without it, DATABASE_URL. */
export const migrate: Command = {
  async run(args, terminal) {
    if (args.length > 0) throw new UsageError();
    const applied = await applyMigrations(loadDirectUrl(await environmentOf(terminal, loadDirectUrl)));
    const lines = applied.length > 0 ? applied.map((name) => `applied ${name}`) : ['nothing to apply'];
    terminal.stdout.write(`${lines.join('\n')}\n`);
  },
};
