import { jittered } from '../../lib/clock.ts';
import type { Mailer } from '../../platform/mailer.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { sentenceOf } from '../../platform/postgres.ts';
import { readWaiting } from './outbox-delivery.store.ts';
import { type DeliveryDeps, makeDelivery, type TakeNext } from './deliver-email.ts';

/** The worker of one process that empties the outbox, together with those of the others. */
export interface EmailWorker {
  /** Looks every few seconds, for what other processes left or could not send. */
  start(): void;
  /** There is a mail, or there will be as soon as a transaction is done. */
  wake(): void;
  /** Resolves when what is being sent is settled. */
  stop(): Promise<void>;
  /** Delivers all that is due, now, and tells how many mails it took up. */
  deliverDue(): Promise<number>;
}

export interface EmailWorkerDeps extends Omit<DeliveryDeps, 'mailer' | 'metrics'> {
  /** Undefined where no mail is sent. */
  mailer: Mailer | undefined;
  metrics: Pick<Metrics, 'emailAttempted' | 'emailsWaiting'>;
}

/** Letters that are sent at once, so that a slow one does not hold up the others. */
const maxSenders = 3;
const pollMs = 5000;
/** Long enough for the transaction to be done. What an answer went on to do cannot be told from its time. */
const wakeMs = 100;

/** Senders that work until nothing is due. Each that takes up a letter calls another one. */
function makeSenders(takeNext: TakeNext, { log }: EmailWorkerDeps) {
  const atWork = new Set<Promise<void>>();
  let isStopping = false;
  let taken = 0;
  let told = '';

  const work = async () => {
    try {
      while (!isStopping && (await takeNext(call))) taken += 1;
      if (told) log.info('mails are looked after again');
      told = '';
    } catch (error) {
      const reason = sentenceOf(error);
      if (reason !== told) log.warn({ reason }, 'mails wait, as the database does not answer');
      told = reason;
    }
  };
  const call = () => {
    if (isStopping || atWork.size >= maxSenders) return;
    const sender = work().finally(() => atWork.delete(sender));
    atWork.add(sender);
  };
  return {
    call,
    async untilDone(): Promise<number> {
      const before = taken;
      while (atWork.size > 0) await Promise.all(atWork);
      return taken - before;
    },
    stop: () => void (isStopping = true),
  };
}

const withoutMail: EmailWorker = {
  start: () => {},
  wake: () => {},
  stop: () => Promise.resolve(),
  deliverDue: () => Promise.resolve(0),
};

export function makeEmailWorker(deps: EmailWorkerDeps): EmailWorker {
  const { db, mailer, metrics } = deps;
  if (!mailer) return withoutMail;
  const senders = makeSenders(makeDelivery({ ...deps, mailer }), deps);
  let isStarted = false;
  let pollTimer: NodeJS.Timeout | undefined;
  let wakeTimer: NodeJS.Timeout | undefined;

  const poll = () => {
    senders.call();
    // A database that is away is told by the senders.
    readWaiting(db).then(metrics.emailsWaiting, () => {});
    pollTimer = setTimeout(poll, jittered(pollMs)).unref();
  };

  return {
    start() {
      isStarted = true;
      poll();
    },
    wake() {
      if (!isStarted || wakeTimer) return;
      wakeTimer = setTimeout(() => {
        wakeTimer = undefined;
        senders.call();
      }, jittered(wakeMs)).unref();
    },
    async stop() {
      isStarted = false;
      clearTimeout(pollTimer);
      clearTimeout(wakeTimer);
      senders.stop();
      await senders.untilDone();
    },
    deliverDue() {
      senders.call();
      return senders.untilDone();
    },
  };
}
