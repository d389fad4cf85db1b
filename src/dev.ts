import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from './config.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './dev/embedded-postgres.ts';
import { welcomeText } from './dev/welcome.ts';
import { randomSecret } from './lib/secrets.ts';
import { applyMigrations } from './platform/migrations.ts';
import { runUntilSignaled } from './platform/process/lifecycle.ts';
import { startService } from './service.ts';

const dataFolder = '.data';

/** Reads the master key, or creates it at the first start, so that sessions and signing keys survive restarts. */
async function loadOrCreateMasterKey(): Promise<string> {
  const file = join(dataFolder, 'master-key');
  await mkdir(dataFolder, { recursive: true });
  const stored = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (stored !== undefined) return stored.trim();
  const key = randomSecret(32).toString('base64url');
  await writeFile(file, `${key}\n`, { mode: 0o600, flag: 'wx' });
  return key;
}

await runUntilSignaled(async () => {
  let postgres: EmbeddedPostgres | undefined;
  const startPostgres = async () => {
    postgres = await startEmbeddedPostgres({ directory: join(dataFolder, 'postgres'), durable: true });
    return postgres.url;
  };
  try {
    const config = await loadConfig('development', { DATABASE_URL: startPostgres, MASTER_KEYS: loadOrCreateMasterKey });
    await applyMigrations(config.database.directUrl);
    const service = await startService(config);
    const ready = service.ready.then(() => process.stdout.write(welcomeText(config.issuer)));
    return {
      ready: ready.then(() => {}),
      stop: async (hurry) => {
        await service.stop(hurry);
        await postgres?.stop();
      },
    };
  } catch (error) {
    await postgres?.stop();
    throw error;
  }
});
