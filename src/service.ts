import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeApp } from './app.ts';
import type { Config } from './config.ts';
import { makeMaintainAuditPartitions } from './core/audit/audit-partitions.ts';
import { purgeTraces } from './core/audit/audit-partitions.store.ts';
import type { Keyring } from './core/signing-keys/keyring.ts';
import { purgeApiKeys } from './core/api-keys/api-keys.store.ts';
import { purgeEmails } from './core/email/outbox-delivery.store.ts';
import { purgeTokens } from './core/one-time-tokens/one-time-tokens.store.ts';
import { purgeSessions } from './core/sessions/purge-sessions.sql.ts';
import { purgeLockouts } from './core/users/lockout.store.ts';
import { loadBlocklist } from './core/users/password-policy.ts';
import type { Readiness } from './features/health/readiness.ts';
import { listen } from './http/server/server.ts';
import { systemClock } from './lib/clock.ts';
import { openInfrastructure } from './infrastructure.ts';
import { type Logger, makeLogger } from './platform/log.ts';
import { pendingMigrations } from './platform/migrations.ts';
import { serveMetrics } from './platform/metrics-server.ts';
import { type Database, DatabaseUnavailable, queryText, sentenceOf } from './platform/postgres.ts';
import { type Purge, startJobs } from './platform/purge.ts';
import { drain, waitAtMost } from './platform/process-lifecycle.ts';

export interface Service {
  port: number;
  log: Logger;
  /** Resolves when it is migrated and has its keys; rejects where it never will, or is stopped before. */
  ready: Promise<void>;
  /** Finishes what is in flight, at most SHUTDOWN_GRACE long, then lets go of everything. */
  stop(): Promise<void>;
}

/** Of SHUTDOWN_GRACE, kept for letting go of a database that may hang. */
const lastSeconds = 0.5;

/** Listens first: the process answers `/healthz` and says in `/readyz` what it waits for. */
export async function startService(config: Config): Promise<Service> {
  const log = makeLogger({ level: config.logLevel, pretty: config.logPretty });
  const infrastructure = openInfrastructure(config, log);
  const { db, metrics } = infrastructure;
  const blocklist = await loadBlocklist(config.passwordBlocklistFile);
  const deps = { config, infrastructure, log, clock: systemClock, blocklist };
  const { express, keyring, signingKeyWorker, emailWorker, readiness, recordSettings } = makeApp(deps);
  const server = await listen(express, config.host, config.port, { log });
  const { host, metricsPort } = config;
  const metricsServer = metricsPort === 0 ? undefined : await serveMetrics(metrics.registry, host, metricsPort, log);
  const stopping = new AbortController();
  let purge: Purge | undefined;
  const ready = becomeReady({ db, keyring, readiness, log, signal: stopping.signal }).then(() => {
    signingKeyWorker.start();
    emailWorker.start();
    const { durationSeconds } = config.lockout;
    purge = startJobs(
      [
        makeMaintainAuditPartitions({ ...config, db, log }),
        (batch) => purgeTraces(db, config.auditRetentionSeconds, batch),
        (batch) => purgeSessions(db, batch),
        (batch) => purgeLockouts(db, durationSeconds, batch),
        (batch) => purgeTokens(db, batch),
        (batch) => purgeApiKeys(db, batch),
        (batch) => purgeEmails(db, batch),
      ],
      log,
    );
    void recordSettings().catch((error: unknown) =>
      log.warn({ reason: sentenceOf(error) }, 'a change of the settings may not be in the audit trail'),
    );
  });
  return {
    port: (server.address() as AddressInfo).port,
    log,
    ready,
    async stop() {
      readiness.draining = true;
      stopping.abort();
      const graceSeconds = config.shutdownGraceSeconds - lastSeconds;
      await Promise.all([drain(server, graceSeconds), waitAtMost(graceSeconds, emailWorker.stop())]);
      metricsServer?.close();
      await waitAtMost(
        lastSeconds,
        Promise.all([purge?.stop(), signingKeyWorker.stop()]).then(() => infrastructure.close()),
      );
    },
  };
}

interface StartUp {
  db: Database;
  keyring: Keyring;
  readiness: Readiness;
  log: Logger;
  signal: AbortSignal;
}

/** Waits for the database and its migrations, then loads the signing keys; as long as it takes, or until `signal`. */
async function becomeReady({ db, keyring, readiness, log, signal }: StartUp): Promise<void> {
  let told = '';
  for (;;) {
    const obstacle = await tryToBecomeReady(db, keyring, readiness);
    if (obstacle === undefined) return;
    if (obstacle !== told) log.warn({ reason: obstacle }, 'not ready yet; trying again every second');
    told = obstacle;
    await sleep(1000, undefined, { signal, ref: false });
  }
}

/** Undefined when ready, else what is in the way and may go away by itself. @throws what no waiting mends */
async function tryToBecomeReady(db: Database, keyring: Keyring, readiness: Readiness): Promise<string | undefined> {
  try {
    const pending = await pendingMigrations(queryText(db));
    if (pending.length > 0) return `migrations are not applied: ${pending.join(', ')}; run npm run db:migrate`;
    readiness.migrated = true;
    await keyring.load();
    return undefined;
  } catch (error) {
    if (error instanceof DatabaseUnavailable) return `the database does not answer: ${sentenceOf(error)}`;
    throw error;
  }
}
