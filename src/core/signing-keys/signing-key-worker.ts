import { monotonicMs } from '../../lib/clock.ts';
import { type JobRunnerDeps, type RunningJob, startJob } from '../../platform/job-runner.ts';
import type { Listener } from '../../platform/postgres/listener.ts';

/** Keeps the keyring of this process current. */
export interface SigningKeyWorker {
  start(): void;
  /** Reloads the keys because a token names an unknown one, which another process may have just created. */
  reloadSoon: () => void;
  /** Resolves when the current run has ended. */
  stop(): Promise<void>;
}

export interface SigningKeyWorkerDeps {
  maintain: () => Promise<void>;
  pollSeconds: number;
  /** Listens for notifications of changed keys. */
  listen: (onNotification: () => void) => Listener;
  runner: JobRunnerDeps;
}

/** Anyone can send tokens with unknown keys, so this bounds the queries that they cause. */
const minReloadIntervalMs = 1000;

/** Maintains the keys on notifications, and on a timer in case a notification is lost. */
export function makeSigningKeyWorker({
  maintain,
  pollSeconds,
  listen,
  runner,
}: SigningKeyWorkerDeps): SigningKeyWorker {
  let job: RunningJob | undefined;
  let listener: Listener | undefined;
  let reloadedAtMs = -Infinity;

  return {
    start() {
      job = startJob({ name: 'signing_keys', periodSeconds: pollSeconds, run: maintain }, runner);
      listener = listen(job.wake);
    },
    reloadSoon() {
      const nowMs = monotonicMs();
      if (!job || nowMs - reloadedAtMs < minReloadIntervalMs) return;
      reloadedAtMs = nowMs;
      job.wake();
    },
    async stop() {
      await listener?.close();
      await job?.stop();
      job = undefined;
    },
  };
}
