import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from './config.ts';
import { randomSecret } from './lib/secrets.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './dev/embedded-postgres.ts';
import { applyMigrations } from './platform/migrations.ts';
import { runUntilSignalled } from './platform/process-lifecycle.ts';
import { startService } from './service.ts';
import { welcome } from './dev/welcome.ts';

const folder = '.data';

/** Made at the first start and kept: sessions and signing keys outlive a restart. */
async function keptMasterKey(): Promise<string> {
  const file = join(folder, 'master-key');
  await mkdir(folder, { recursive: true });
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const key = randomSecret(32).toString('base64url');
    await writeFile(file, `${key}\n`, { mode: 0o600, flag: 'wx' });
    return key;
  }
}

await runUntilSignalled(async () => {
  let postgres: EmbeddedPostgres | undefined;
  const startPostgres = async () => {
    postgres = await startEmbeddedPostgres({ directory: join(folder, 'postgres'), durable: true });
    return postgres.url;
  };
  try {
    const config = await loadConfig('development', { DATABASE_URL: startPostgres, MASTER_KEYS: keptMasterKey });
    await applyMigrations(config.database.directUrl);
    const service = await startService(config);
    const ready = service.ready.then(() => process.stdout.write(welcome(config.issuer)));
    return {
      ready: ready.then(() => {}),
      stop: async () => {
        await service.stop();
        await postgres?.stop();
      },
    };
  } catch (error) {
    await postgres?.stop();
    throw error;
  }
});
