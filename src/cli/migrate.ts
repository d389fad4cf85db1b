import { loadDirectUrl } from '../config.ts';
import { applyMigrations } from '../platform/migrations.ts';

/** Applies the pending migrations to DATABASE_DIRECT_URL or, without it, DATABASE_URL. @throws StartupError */
export async function migrate(): Promise<void> {
  const applied = await applyMigrations(loadDirectUrl());
  const lines = applied.length > 0 ? applied.map((name) => `applied ${name}`) : ['nothing to apply'];
  process.stdout.write(`${lines.join('\n')}\n`);
}
