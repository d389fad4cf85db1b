import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeApp } from './app.ts';
import type { Config } from './config.ts';
import { type Keyring, KeysUnreadable, makeKeyring } from './core/keys/keyring.ts';
import { deriveMasterKeys } from './core/keys/master-keys.ts';
import { startSessionPurge } from './core/sessions/purge.ts';
import { loadBlocklist, makePasswordPolicy } from './core/users/password-policy.ts';
import type { Readiness } from './features/health/readiness.ts';
import { listen } from './http/server.ts';
import { systemClock } from './kernel/clock.ts';
import { makeBreachLookup } from './platform/breached-passwords.ts';
import { makeHasher } from './platform/hasher.ts';
import { type Logger, makeLogger } from './platform/log.ts';
import { pendingMigrations } from './platform/migrations.ts';
import { answers, type Database, openDatabase, queryText } from './platform/postgres.ts';
import { drain, waitAtMost } from './platform/shutdown.ts';

export interface Service {
  port: number;
  log: Logger;
  /** Resolves when it is migrated and has its keys. @throws KeysUnreadable */
  ready: Promise<void>;
  /** Finishes what is in flight, at most SHUTDOWN_GRACE long, then lets go of everything. */
  stop(): Promise<void>;
}

/** Of SHUTDOWN_GRACE, kept for letting go of a database that may hang. */
const lastSeconds = 0.5;

/** Listens first: the process answers `/healthz` and says in `/readyz` what it waits for. */
export async function startService(config: Config): Promise<Service> {
  const log = makeLogger({ level: config.logLevel, pretty: config.logPretty });
  const db = openDatabase(config.database, log);
  const masterKeys = deriveMasterKeys(config.masterKeys);
  const keyring = makeKeyring({ db, masterKeys, alg: config.jwtAlg });
  const readiness: Readiness = { migrated: false, keysLoaded: keyring.isLoaded, draining: false };
  const { hashConcurrency: concurrency, hashQueueMax: queueMax } = config;
  const hasher = makeHasher({ ...config.argon2, concurrency, queueMax });
  const passwordPolicy = makePasswordPolicy({
    minLength: config.passwordMinLength,
    blocklist: await loadBlocklist(config.passwordBlocklistFile),
    breached: config.hibpUrl ? makeBreachLookup(config.hibpUrl, breachOptions(log)) : undefined,
  });
  const app = makeApp({
    config,
    db,
    masterKeys,
    keyring,
    hasher,
    passwordPolicy,
    readiness,
    log,
    databaseAnswers: () => answers(db),
    clock: systemClock,
  });
  const server = await listen(app.express, config.host, config.port);
  const purge = startSessionPurge(db, log);
  const stopping = new AbortController();
  return {
    port: (server.address() as AddressInfo).port,
    log,
    ready: becomeReady({ db, keyring, readiness, log, signal: stopping.signal }),
    async stop() {
      readiness.draining = true;
      stopping.abort();
      await drain(server, config.shutdownGraceSeconds - lastSeconds);
      await waitAtMost(
        lastSeconds,
        purge.stop().then(() => db.$disconnect()),
      );
    },
  };
}

const breachOptions = (log: Logger) => ({
  timeoutMs: 2000,
  onFailure: (error: unknown) => log.warn({ reason: String(error) }, 'the breached-password service did not answer'),
});

interface StartUp {
  db: Database;
  keyring: Keyring;
  readiness: Readiness;
  log: Logger;
  signal: AbortSignal;
}

/** Waits for the database and its migrations, then loads the signing keys; as long as it takes. */
async function becomeReady({ db, keyring, readiness, log, signal }: StartUp): Promise<void> {
  let told = '';
  while (!signal.aborted) {
    const obstacle = await tryToBecomeReady(db, keyring, readiness);
    if (obstacle === undefined) return;
    if (obstacle !== told) log.warn({ reason: obstacle }, 'not ready yet; trying again every second');
    told = obstacle;
    await sleep(1000, undefined, { signal, ref: false }).catch(() => {});
  }
}

/** Undefined when ready, else what is in the way. @throws KeysUnreadable, which no waiting mends */
async function tryToBecomeReady(db: Database, keyring: Keyring, readiness: Readiness): Promise<string | undefined> {
  try {
    const pending = await pendingMigrations(queryText(db));
    if (pending.length > 0) return `migrations are not applied: ${pending.join(', ')}; run npm run db:migrate`;
    readiness.migrated = true;
    await keyring.load();
    return undefined;
  } catch (error) {
    if (error instanceof KeysUnreadable) throw error;
    return `the database does not answer: ${(error as Error).message}`;
  }
}
