import { jittered } from '../../lib/clock.ts';
import type { Logger } from '../../platform/log.ts';
import type { Mailer } from '../../platform/mailer.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { sentenceOf } from '../../platform/postgres.ts';
import { type DeliverEmailDeps, type DeliverNext, makeDeliverNext } from './deliver-email.ts';
import { outboxKinds } from './email-message.ts';
import { readBacklog } from './outbox.sql.ts';

/** Empties the outbox, together with the workers of other processes. */
export interface EmailWorker {
  /** Starts polling every few seconds for emails that other processes left or could not send. */
  start(): void;
  /** Looks for emails soon, when the transaction that stores one has been committed. */
  wake(): void;
  /** Resolves when the deliveries in progress are finished. */
  stop(): Promise<void>;
  /** Delivers everything that is due now. Returns how many times it found something. */
  deliverDue(): Promise<number>;
}

export interface EmailWorkerDeps extends Omit<DeliverEmailDeps, 'mailer' | 'metrics'> {
  /** Undefined if this service does not send email. */
  mailer: Mailer | undefined;
  metrics: Pick<Metrics, 'startEmailKind' | 'emailAttempted' | 'emailsWaiting'>;
}

/** Concurrent deliveries, so that a slow one does not block the others. */
const maxSenders = 2;
/** One more, so that urgent emails do not wait for a mail server that is slow to accept those of registrations. */
const maxUrgentSenders = 1;
const pollMs = 5000;
/** Long enough for the transaction to be committed, and the same for every response, so that times reveal nothing. */
const wakeMs = 100;

/** Senders that work until nothing is due. A sender that claims an email starts another sender. */
function makeSenders(deliverNext: DeliverNext, log: Logger) {
  const senders = new Set<Promise<void>>();
  const urgentSenders = new Set<Promise<void>>();
  let isStopping = false;
  let processed = 0;
  let lastLogged = '';

  const work = async (urgentOnly: boolean) => {
    try {
      while (!isStopping && (await deliverNext({ urgentOnly, onClaimed: startSender }))) processed += 1;
      if (lastLogged) log.info('the outbox can be read again');
      lastLogged = '';
    } catch (error) {
      const reason = sentenceOf(error);
      if (reason !== lastLogged) log.warn({ reason }, 'emails wait because the database is unavailable');
      lastLogged = reason;
    }
  };
  const startSender = () => {
    const urgentOnly = senders.size >= maxSenders;
    if (isStopping || (urgentOnly && urgentSenders.size >= maxUrgentSenders)) return;
    const group = urgentOnly ? urgentSenders : senders;
    const sender = work(urgentOnly).finally(() => group.delete(sender));
    group.add(sender);
  };
  return {
    startSender,
    async untilIdle(): Promise<number> {
      const before = processed;
      while (senders.size + urgentSenders.size > 0) await Promise.all([...senders, ...urgentSenders]);
      return processed - before;
    },
    stop: () => void (isStopping = true),
  };
}

const disabledWorker: EmailWorker = {
  start: () => {},
  wake: () => {},
  stop: () => Promise.resolve(),
  deliverDue: () => Promise.resolve(0),
};

export function makeEmailWorker(deps: EmailWorkerDeps): EmailWorker {
  const { db, mailer, metrics, log } = deps;
  for (const kind of outboxKinds) metrics.startEmailKind(kind);
  if (!mailer) return disabledWorker;
  const senders = makeSenders(makeDeliverNext({ ...deps, mailer }), log);
  let isStarted = false;
  let pollTimer: NodeJS.Timeout | undefined;
  let wakeTimer: NodeJS.Timeout | undefined;

  const poll = () => {
    senders.startSender();
    // The senders log an unavailable database.
    readBacklog(db).then(
      (backlog) => backlog && metrics.emailsWaiting(backlog),
      () => {},
    );
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
        senders.startSender();
      }, jittered(wakeMs)).unref();
    },
    async stop() {
      isStarted = false;
      clearTimeout(pollTimer);
      clearTimeout(wakeTimer);
      senders.stop();
      await senders.untilIdle();
    },
    deliverDue() {
      senders.startSender();
      return senders.untilIdle();
    },
  };
}
