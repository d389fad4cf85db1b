import { monotonicMs } from '../../../lib/clock.ts';
import type { Logger } from '../../log.ts';
import { adviceOn, type Cause, causeOf, codeOf } from './causes.ts';

/** Whether Postgres is available to this process, as its connections experience it. */
export interface Availability {
  /** Counts the error if Postgres is unavailable, and logs its cause if it is new. */
  failed: (error: unknown) => void;
  /** Ends the outage if it has been quiet for long enough. Called for every statement, so it is cheap without an outage. */
  succeeded: () => void;
}

/** For commands, which report their own failure. */
export const unobserved: Availability = { failed() {}, succeeded() {} };

/** Errors and successes alternate if only some statements fail. So an outage ends with the first success this long after its last error. */
const quietMs = 5000;

export interface AvailabilityDeps {
  log: Pick<Logger, 'warn' | 'info'>;
  countError: (cause: Cause) => void;
  nowMs?: () => number;
}

/** Logs each cause of an outage once, and one line when it has ended. Nothing is logged per request. */
export function makeAvailability({ log, countError, nowMs = monotonicMs }: AvailabilityDeps): Availability {
  const errors = new Map<Cause, number>();
  let startedMs = 0;
  let lastErrorMs = 0;
  return {
    failed(error) {
      const cause = causeOf(error);
      if (cause === undefined) return;
      countError(cause);
      lastErrorMs = nowMs();
      if (errors.size === 0) startedMs = lastErrorMs;
      const isNew = !errors.has(cause);
      errors.set(cause, (errors.get(cause) ?? 0) + 1);
      if (!isNew) return;
      const reason = error instanceof Error ? error.message : undefined; // of these causes, it contains no data
      log.warn({ cause, code: codeOf(error), reason, advice: adviceOn(cause) }, 'the database is unavailable');
    },
    succeeded() {
      if (errors.size === 0 || nowMs() - lastErrorMs < quietMs) return;
      const seconds = Math.round((lastErrorMs - startedMs) / 100) / 10;
      log.info({ errors: Object.fromEntries(errors), seconds }, 'the database is available again');
      errors.clear();
    },
  };
}
