import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { stdout } from './line-writer.ts';
import { type Cause, causes } from './postgres/pool/causes.ts';
import type { Connections } from './postgres/pool/connections.ts';

const refreshOutcomes = ['rotated', 'unchanged', 'replayed', 'replayed_elsewhere', 'reused', 'refused'] as const;
export type RefreshOutcome = (typeof refreshOutcomes)[number];

/** The private reason if the password was rejected, otherwise the public code; `not_done` for everything else. */
const loginOutcomes = [
  'success',
  'unknown_account',
  'wrong_password',
  'account_disabled',
  'overtaken',
  'account_locked',
  'email_not_verified',
  'validation_failed',
  'overloaded',
  'not_ready',
  'not_done',
] as const;
export type LoginOutcome = (typeof loginOutcomes)[number];

export const toLoginOutcome = (text: string): LoginOutcome =>
  loginOutcomes.find((outcome) => outcome === text) ?? 'not_done';

const lockoutScopes = ['network', 'anywhere'] as const;
export type LockoutScope = (typeof lockoutScopes)[number];

const deliveryOutcomes = ['sent', 'retried', 'failed'] as const;
const runOutcomes = ['succeeded', 'failed'] as const;

/** Values that are read when the metrics are scraped. */
export interface Gauges {
  hashQueue: () => { running: number; waiting: number };
  connections: Pick<Connections, 'current' | 'counts'>;
  /** The active signing key and how long it has signed; undefined before the keys are loaded. */
  activeKey: () => { kid: string; ageSeconds: number } | undefined;
  databaseIsUp: () => boolean;
  /** Undefined without `REDIS_URL`. */
  redisIsUp: (() => boolean) | undefined;
}

/**
 * The metrics of one process. Each label has a bounded set of values, so that no request can create a new series. Every series of a
 * counter starts at 0, here or with `start…`: `increase()` ignores a series that starts at 1, so an alert would miss the first event.
 */
export type Metrics = ReturnType<typeof makeMetrics>;

const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const waitSeconds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

export function makeMetrics(version: string) {
  const registry = new Registry();
  const registers = [registry];
  const common = (name: string, help: string) => ({ name: `keyturn_${name}`, help, registers });
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ ...common(name, help), labelNames });
  const histogram = <Label extends string>(name: string, help: string, buckets: number[], ...labelNames: Label[]) =>
    new Histogram({ ...common(name, help), buckets, labelNames });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      ...common(name, help),
      collect() {
        this.set(read());
      },
    });

  const startAtZero = <Label extends string>(of: Counter<Label>, series: Record<Label, string>[]) => {
    for (const labels of series) of.inc(labels, 0);
  };

  const requests = histogram(
    'http_request_duration_seconds',
    'Requests by method, declared route and status (499: the client disconnected)',
    requestSeconds,
    'method',
    'route',
    'status',
  );
  const refreshes = counter('refreshes_total', 'Refreshes by outcome', 'outcome');
  const logins = counter('logins_total', 'Logins by outcome', 'outcome');
  const lockOuts = counter('lockouts_total', 'Email addresses that were locked, by scope', 'scope');
  const limited = counter('rate_limited_total', 'Requests that were rejected with 429, by limit group', 'group');
  const emails = counter('emails_total', 'Delivery attempts of emails by kind and outcome', 'kind', 'outcome');
  const waiting = new Gauge(common('emails_waiting', 'Emails in the outbox at the last check of this process'));
  const oldestWaiting = new Gauge(common('email_oldest_waiting_seconds', 'Age of the oldest email in the outbox'));
  const purgedAccounts = counter(
    'accounts_purged_total',
    'Accounts that were deleted because they were never verified or used',
  );
  const jobRuns = counter('job_runs_total', 'Runs of background jobs by outcome', 'job', 'outcome');
  const hashWaits = histogram('hash_wait_seconds', 'Time that passwords waited in the hash queue', waitSeconds);
  const poolWaits = histogram(
    'database_pool_wait_seconds',
    'Time that statements waited for a connection',
    waitSeconds,
  );
  const databaseErrors = counter(
    'database_errors_total',
    'Errors of Postgres that made it unavailable to a statement or connection, by cause',
    'cause',
  );
  for (const cause of causes) databaseErrors.inc({ cause }, 0);
  const build = new Gauge({ ...common('build_info', 'Always 1'), labelNames: ['version', 'node'] });
  new Counter({
    ...common('log_lines_dropped_total', 'Log lines that were dropped because the standard output was full or blocked'),
    collect() {
      this.reset();
      this.inc(stdout.dropped);
    },
  });
  startAtZero(
    refreshes,
    refreshOutcomes.map((outcome) => ({ outcome })),
  );
  startAtZero(
    logins,
    loginOutcomes.map((outcome) => ({ outcome })),
  );
  startAtZero(
    lockOuts,
    lockoutScopes.map((scope) => ({ scope })),
  );
  build.set({ version, node: process.version }, 1);

  return {
    registry,
    requestDone: (method: string, route: string, status: number, seconds: number): void =>
      requests.observe({ method, route, status }, seconds),
    refreshed: (outcome: RefreshOutcome): void => refreshes.inc({ outcome }),
    loggedIn: (outcome: LoginOutcome): void => logins.inc({ outcome }),
    lockedOut: (scope: LockoutScope): void => lockOuts.inc({ scope }),
    startLimitGroup: (group: string): void => startAtZero(limited, [{ group }]),
    limited: (group: string): void => limited.inc({ group }),
    startEmailKind: (kind: string): void =>
      startAtZero(
        emails,
        deliveryOutcomes.map((outcome) => ({ kind, outcome })),
      ),
    emailAttempted: (kind: string, outcome: (typeof deliveryOutcomes)[number]): void => emails.inc({ kind, outcome }),
    emailsWaiting({ count, oldestSeconds }: { count: number; oldestSeconds: number }): void {
      waiting.set(count);
      oldestWaiting.set(oldestSeconds);
    },
    accountsPurged: (count: number): void => purgedAccounts.inc(count),
    startJob: (job: string): void =>
      startAtZero(
        jobRuns,
        runOutcomes.map((outcome) => ({ job, outcome })),
      ),
    jobRan: (job: string, outcome: (typeof runOutcomes)[number]): void => jobRuns.inc({ job, outcome }),
    waitedForHash: (seconds: number): void => hashWaits.observe(seconds),
    waitedForConnection: (seconds: number): void => poolWaits.observe(seconds),

    databaseFailed: (cause: Cause): void => databaseErrors.inc({ cause }),

    watch({ hashQueue, connections, activeKey, databaseIsUp, redisIsUp }: Gauges): void {
      gauge('hash_running', 'Password hashes that are being computed', () => hashQueue().running);
      gauge('hash_queue_depth', 'Passwords that wait in the hash queue', () => hashQueue().waiting);
      const inPool = (name: string, help: string, read: (current: Connections['current']) => number) =>
        gauge(`database_pool_${name}`, help, () => read(connections.current));
      inPool('connections', 'Database connections of this process', ({ total }) => total);
      inPool('busy', 'Database connections in use', ({ total, idle, closing }) => total - idle - closing);
      inPool('closing', 'Database connections that Postgres has not closed yet', ({ closing }) => closing);
      inPool('waiting', 'Statements that wait for a connection', ({ waiting }) => waiting);
      for (const [event, help] of [
        ['opened', 'Database connections that were opened'],
        ['closed', 'Database connections that Postgres has closed'],
        ['abandoned', 'Database connections that were given up because Postgres did not respond in time'],
      ] as const)
        new Counter({
          ...common(`database_connections_${event}_total`, help),
          collect() {
            this.reset();
            this.inc(connections.counts[event]);
          },
        });
      gauge('database_up', 'Whether Postgres responds and accepts writes', () => (databaseIsUp() ? 1 : 0));
      if (redisIsUp)
        gauge('redis_up', 'Whether Redis is available; if 0, this process counts rate limits alone', () =>
          redisIsUp() ? 1 : 0,
        );
      new Gauge({
        ...common('signing_key_age_seconds', 'How long the active signing key has signed'),
        labelNames: ['kid'],
        collect() {
          this.reset();
          const key = activeKey();
          if (key) this.set({ kid: key.kid }, key.ageSeconds);
        },
      });
    },
  };
}
