import { setTimeout as sleep } from 'node:timers/promises';
import { makeApp } from './app.ts';
import type { Config } from './config.ts';
import { loadBlocklist } from './core/users/password-policy.ts';
import type { CheckSchema } from './features/health/readiness.ts';
import { listen } from './http/server/server.ts';
import { openInfrastructure } from './infrastructure.ts';
import { makeJobs } from './jobs.ts';
import { systemClock } from './lib/clock.ts';
import { StartupError } from './lib/errors.ts';
import { type Job, type RunningJob, startJob, startJobs } from './platform/job-runner.ts';
import { type Logger, makeLogger } from './platform/log.ts';
import { serveMetrics } from './platform/metrics-server.ts';
import { sentenceOf } from './platform/postgres.ts';
import { parseConnectionUrl } from './platform/postgres/connection.ts';
import { requireConnection } from './platform/postgres/connection-errors.ts';
import { announceClose, drain, portOf, requireFreePort, waitAtMost } from './platform/process/lifecycle.ts';
import { becomeReady, tryToBecomeReady } from './startup.ts';

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
/** How long the start can postpone listening. */
const listenAfterSeconds = 2;

/**
 * Starts the service. It listens when it is ready, so that a restarted process receives no requests that it cannot serve; but if it
 * cannot become ready soon, it listens before that, so that `/healthz` and `/readyz` respond while it waits for its database.
 * @throws if it can never become ready
 */
export async function startService(config: Config): Promise<Service> {
  const log = makeLogger({ level: config.logLevel, pretty: config.logPretty });
  for (const warning of config.warnings) log.warn(warning);
  await requireFreePort(config.host, config.port);
  const infrastructure = openInfrastructure(config, log);
  const { db, pool, metrics } = infrastructure;
  const blocklist = await loadBlocklist(config.passwordBlocklistFile);
  const deps = { config, infrastructure, log, clock: systemClock, blocklist };
  const { express, container } = makeApp(deps);
  const { keyring, signingKeyWorker, emailWorker, databaseMonitor, checkSchema, readiness, audit } = container;
  const { schema, isUnverified } = parseConnectionUrl(config.database.url);
  if (isUnverified)
    log.warn('the certificate of Postgres is not checked; set sslmode=verify-full and sslrootcert in DATABASE_URL');
  const stopping = new AbortController();
  const connect = () => requireConnection(pool, config.database.url);
  const startup = { db, connect, schema, keyring, checkSchema, log, signal: stopping.signal };
  const firstAttempt = tryToBecomeReady(startup);
  try {
    await waitAtMost(listenAfterSeconds, Promise.all([firstAttempt, databaseMonitor.start()]));
  } catch (error) {
    databaseMonitor.stop();
    await infrastructure.close();
    throw error;
  }
  const server = await listen(express, config.host, config.port, { log });
  const { metricsHost, metricsPort } = config;
  const metricsServer =
    metricsPort === 0 ? undefined : await serveMetrics(metrics.registry, metricsHost, metricsPort, log);
  const jobs: Pick<RunningJob, 'stop'>[] = [];
  let isReady = false;
  const ready = becomeReady(startup, firstAttempt).then(() => {
    isReady = true;
    signingKeyWorker.start();
    emailWorker.start();
    const runner = { log, metrics };
    jobs.push(startJobs(makeJobs({ db, audit, config, metrics, log }), runner));
    // Not one of the jobs above, which wait for each other.
    jobs.push(startJob(schemaJob(checkSchema), runner));
    void container
      .recordConfigChanges(config.auditedSettings)
      .catch((error: unknown) =>
        log.warn({ reason: sentenceOf(error) }, 'configuration changes may be missing from the audit trail'),
      );
  });
  return {
    port: portOf(server),
    log,
    ready,
    async stop(hurry) {
      readiness.draining = true;
      announceClose(server);
      // No balancer sends requests to a process that was never ready.
      if (isReady) await sleep(config.shutdownDelaySeconds * 1000, undefined, { signal: hurry }).catch(() => {});
      stopping.abort();
      const graceSeconds = config.shutdownGraceSeconds - closeSeconds;
      await Promise.all([drain(server, graceSeconds), waitAtMost(graceSeconds, emailWorker.stop())]);
      metricsServer?.close();
      databaseMonitor.stop();
      const workers = [...jobs, signingKeyWorker];
      const stopped = Promise.all(workers.map((worker) => worker.stop()));
      await waitAtMost(
        closeSeconds,
        stopped.then(() => infrastructure.close()),
      );
    },
  };
}

/** Notices a restored backup. The log contains what the operator must do. */
const schemaJob = (checkSchema: CheckSchema): Job => ({
  name: 'check_schema',
  periodSeconds: 10,
  async run() {
    const problem = await checkSchema();
    if (problem) throw new StartupError(problem.reason);
  },
});
