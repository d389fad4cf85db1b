import { makeApp } from '../app.ts';
import { loadConfig } from '../config.ts';
import { makeKeyring } from '../core/keys/keyring.ts';
import { deriveMasterKeys } from '../core/keys/master-keys.ts';
import { makePasswordPolicy } from '../core/users/password-policy.ts';
import { toYaml } from '../features/openapi/openapi.route.ts';
import { systemClock } from '../kernel/clock.ts';
import { makeHasher } from '../platform/hasher.ts';
import { makeLogger } from '../platform/log.ts';
import { openDatabase } from '../platform/postgres.ts';

/** The document of an app with the default settings. The app is put together and never started: nothing connects. */
export async function makeOpenApiYaml(): Promise<string> {
  const environment = { DATABASE_URL: 'postgresql://nowhere', MASTER_KEYS: Buffer.alloc(32).toString('base64url') };
  const config = await loadConfig('development', {}, environment);
  const log = makeLogger({ level: 'silent', pretty: false });
  const db = openDatabase(config.database, log);
  const masterKeys = deriveMasterKeys(config.masterKeys);
  const keyring = makeKeyring({ db, masterKeys, alg: config.jwtAlg });
  const app = makeApp({
    config,
    db,
    masterKeys,
    keyring,
    log,
    hasher: makeHasher({ ...config.argon2, concurrency: 1, queueMax: 0 }),
    passwordPolicy: makePasswordPolicy({ minLength: config.passwordMinLength, blocklist: new Set() }),
    readiness: { migrated: false, keysLoaded: () => false, draining: false },
    databaseAnswers: () => Promise.resolve(false),
    clock: systemClock,
  });
  return toYaml(app.openApi());
}

export async function openapi(): Promise<void> {
  process.stdout.write(await makeOpenApiYaml());
}
