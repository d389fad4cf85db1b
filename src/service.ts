import { setTimeout as sleep } from 'node:timers/promises';
import { makeApp } from './app.ts';
import type { Config } from './config.ts';
import type { Keyring } from './core/signing-keys/keyring.ts';
import { loadBlocklist } from './core/users/password-policy.ts';
import type { Readiness } from './features/health/readiness.ts';
import { listen } from './http/server/server.ts';
import { openInfrastructure } from './infrastructure.ts';
import { makeJobs } from './jobs.ts';
import { systemClock } from './lib/clock.ts';
import { StartupError } from './lib/errors.ts';
import { type RunningJob, startJobs } from './platform/job-runner.ts';
import { type Logger, makeLogger } from './platform/log.ts';
import { serveMetrics } from './platform/metrics-server.ts';
import { pendingMigrations } from './platform/migrations.ts';
import { type Database, DatabaseUnavailable, queryText, sentenceOf } from './platform/postgres.ts';
import { parseConnectionUrl } from './platform/postgres/connection.ts';
import { findUnmetRequirement } from './platform/postgres/requirements.ts';
import { drain, portOf, waitAtMost } from './platform/process/lifecycle.ts';

export interface Service {
  port: number;
  log: Logger;
  /** Resolves when migrations are applied and signing keys are loaded. Rejects if that can never happen, or after `stop`. */
  ready: Promise<void>;
  /**
   * Turns `/readyz` to 503, serves for SHUTDOWN_DELAY or until `hurry` aborts, then finishes the requests in flight and closes
   * everything, within SHUTDOWN_GRACE.
   */
  stop(hurry: AbortSignal): Promise<void>;
}

/** The part of SHUTDOWN_GRACE that remains for closing connections, which can hang. */
const closeSeconds = 0.5;

/** Starts the service. It listens before it is ready, so that `/healthz` and `/readyz` respond during startup. */
export async function startService(config: Config): Promise<Service> {
  const log = makeLogger({ level: config.logLevel, pretty: config.logPretty });
  for (const warning of config.warnings) log.warn(warning);
  const infrastructure = openInfrastructure(config, log);
  const { db, metrics } = infrastructure;
  const blocklist = await loadBlocklist(config.passwordBlocklistFile);
  const deps = { config, infrastructure, log, clock: systemClock, blocklist };
  const { express, container } = makeApp(deps);
  const { keyring, signingKeyWorker, emailWorker, readiness, audit, recordConfigChanges } = container;
  const server = await listen(express, config.host, config.port, { log });
  const { metricsHost, metricsPort } = config;
  const metricsServer =
    metricsPort === 0 ? undefined : await serveMetrics(metrics.registry, metricsHost, metricsPort, log);
  const stopping = new AbortController();
  let jobs: Pick<RunningJob, 'stop'> | undefined;
  const { schema, isUnverified } = parseConnectionUrl(config.database.url);
  if (isUnverified)
    log.warn('the certificate of Postgres is not checked; set sslmode=verify-full and sslrootcert in DATABASE_URL');
  let isReady = false;
  const ready = becomeReady({ db, schema, keyring, readiness, log, signal: stopping.signal }).then(() => {
    isReady = true;
    signingKeyWorker.start();
    emailWorker.start();
    jobs = startJobs(makeJobs({ db, audit, config, metrics, log }), { log, countRun: metrics.jobRan });
    void recordConfigChanges(config.auditedSettings).catch((error: unknown) =>
      log.warn({ reason: sentenceOf(error) }, 'configuration changes may be missing from the audit trail'),
    );
  });
  return {
    port: portOf(server),
    log,
    ready,
    async stop(hurry) {
      readiness.draining = true;
      // No balancer sends requests to a process that was never ready.
      if (isReady) await sleep(config.shutdownDelaySeconds * 1000, undefined, { signal: hurry }).catch(() => {});
      stopping.abort();
      const graceSeconds = config.shutdownGraceSeconds - closeSeconds;
      await Promise.all([drain(server, graceSeconds), waitAtMost(graceSeconds, emailWorker.stop())]);
      metricsServer?.close();
      await waitAtMost(
        closeSeconds,
        Promise.all([jobs?.stop(), signingKeyWorker.stop()]).then(() => infrastructure.close()),
      );
    },
  };
}

interface Startup {
  db: Database;
  schema: string;
  keyring: Keyring;
  readiness: Readiness;
  log: Logger;
  signal: AbortSignal;
}

const retryMs = 1000;

/** Waits for the database and its migrations and loads the signing keys. Retries until `signal` aborts. */
async function becomeReady({ log, signal, ...startup }: Startup): Promise<void> {
  let lastLogged = '';
  for (;;) {
    const obstacle = await tryToBecomeReady(startup);
    if (obstacle === undefined) return;
    if (obstacle.key !== lastLogged) log.warn({ reason: obstacle.reason }, 'not ready; retrying every second');
    lastLogged = obstacle.key;
    await sleep(retryMs, undefined, { signal, ref: false });
  }
}

interface Obstacle {
  /** Obstacles with the same key are logged once. */
  key: string;
  reason: string;
}

/** Returns why the service is not ready yet; undefined if it is ready. @throws on failures that a retry cannot fix */
async function tryToBecomeReady({
  db,
  schema,
  keyring,
  readiness,
}: Omit<Startup, 'log' | 'signal'>): Promise<Obstacle | undefined> {
  try {
    const unmet = await findUnmetRequirement(queryText(db), schema);
    if (unmet !== undefined) throw new StartupError(unmet);
    const pending = await pendingMigrations(queryText(db));
    if (pending.length > 0) {
      const reason = `migrations are not applied: ${pending.join(', ')}; run npm run db:migrate`;
      return { key: 'migrations', reason }; // the list gets shorter while they are applied
    }
    readiness.migrated = true;
    await keyring.load();
    return undefined;
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error;
    const reason = `the database is unavailable: ${sentenceOf(error)}`;
    return { key: reason, reason };
  }
}
