import { jittered, monotonicMs } from '../../lib/clock.ts';
import { StartupError } from '../../lib/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { sentenceOf } from '../../platform/postgres.ts';
import type { Listener } from '../../platform/postgres-listener.ts';

export interface SigningKeyWorker {
  start(): void;
  /** Somebody brought a token of a key that is not known: it may be newer than the last look. */
  reloadSoon: () => void;
  /** Resolves when what runs is done. */
  stop(): Promise<void>;
}

export interface SigningKeyWorkerDeps {
  tend: () => Promise<void>;
  pollSeconds: number;
  /** Begins to listen for news of the keys. */
  listen: (onNews: () => void) => Listener;
  log: Logger;
}

/** What strangers may make this process ask of Postgres with tokens that nobody signed. */
const lookAgainEveryMs = 1000;

/** Tends the keys on news, and on a timer for the news that were lost. Faults wait for the next time. */
export function makeSigningKeyWorker({ tend, pollSeconds, listen, log }: SigningKeyWorkerDeps): SigningKeyWorker {
  let told = '';
  let stopped = true;
  let listener: Listener | undefined;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let lookedMs = -Infinity;

  const attempt = async () => {
    try {
      await tend();
      if (told) log.info('the signing keys are looked after again');
      told = '';
    } catch (error) {
      const reason = sentenceOf(error);
      if (stopped || reason === told) return;
      // What the operator must mend is an error; a database that is away comes back.
      log[error instanceof StartupError ? 'error' : 'warn']({ reason }, 'the signing keys stay as they are');
      told = reason;
    }
  };
  const now = () => {
    if (!stopped) running = attempt();
  };
  const poll = () => {
    if (stopped) return;
    now();
    void running.then(() => {
      if (!stopped) timer = setTimeout(poll, jittered(pollSeconds * 1000)).unref();
    });
  };

  return {
    start() {
      stopped = false;
      poll();
      listener = listen(now);
    },
    reloadSoon() {
      const atMs = monotonicMs();
      if (stopped || atMs - lookedMs < lookAgainEveryMs) return;
      lookedMs = atMs;
      now();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await listener?.close();
      await running;
    },
  };
}
