import { jittered } from '../lib/clock.ts';
import { StartupError } from '../lib/errors.ts';
import { makeKeyedMutex } from '../lib/keyed-mutex.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { sentenceOf } from './postgres.ts';

/** Work that a process repeats in the background. */
export interface Job {
  /** Appears in log lines and metrics. */
  name: string;
  periodSeconds: number;
  /** Ends soon after `signal` aborts. */
  run(signal: AbortSignal): Promise<unknown>;
}

export interface JobRunnerDeps {
  log: Logger;
  metrics: Pick<Metrics, 'startJob' | 'jobRan'>;
}

export interface RunningJob {
  /** Runs the job now, or again after the current run. */
  wake: () => void;
  /** Resolves when the current run has ended. */
  stop(): Promise<void>;
}

const minRetrySeconds = 1;

/**
 * Runs a job immediately and then once per period. After failures it retries sooner: after 1 s, 2 s, 4 s and so on, up to the period.
 * The log contains one line per new reason of failure and one when the job succeeds again.
 */
export function startJob(job: Job, { log, metrics }: JobRunnerDeps): RunningJob {
  metrics.startJob(job.name);
  const stopping = new AbortController();
  let failures = 0;
  let lastLogged: string | undefined;
  let isWoken = false;
  let endPause = () => {};

  const attempt = async () => {
    try {
      await job.run(stopping.signal);
      metrics.jobRan(job.name, 'succeeded');
      if (lastLogged !== undefined) log.info({ job: job.name }, 'background job succeeded again');
      failures = 0;
      lastLogged = undefined;
    } catch (error) {
      if (stopping.signal.aborted) return;
      metrics.jobRan(job.name, 'failed');
      failures += 1;
      const reason = sentenceOf(error);
      if (reason === lastLogged) return;
      lastLogged = reason;
      // The operator must fix what a StartupError reports; other failures can end without action.
      log[error instanceof StartupError ? 'error' : 'warn']({ job: job.name, reason }, 'background job failed');
    }
  };

  const pause = (seconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, jittered(seconds * 1000)).unref();
      endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const repeat = async () => {
    while (!stopping.signal.aborted) {
      isWoken = false;
      await attempt();
      if (isWoken || stopping.signal.aborted) continue;
      const retrySeconds = failures > 0 ? minRetrySeconds * 2 ** (failures - 1) : Infinity;
      await pause(Math.min(job.periodSeconds, retrySeconds));
    }
  };

  const wake = () => {
    isWoken = true;
    endPause();
  };
  const ended = repeat();
  return {
    wake,
    async stop() {
      stopping.abort();
      endPause();
      await ended;
    },
  };
}

/** Runs jobs one at a time, so that together they use one database connection. */
export function startJobs(jobs: readonly Job[], deps: JobRunnerDeps): Pick<RunningJob, 'stop'> {
  const exclusive = makeKeyedMutex();
  const running = jobs.map((job) =>
    startJob(
      { ...job, run: (signal) => exclusive('jobs', () => (signal.aborted ? Promise.resolve() : job.run(signal))) },
      deps,
    ),
  );
  return {
    async stop() {
      await Promise.all(running.map((job) => job.stop()));
    },
  };
}
