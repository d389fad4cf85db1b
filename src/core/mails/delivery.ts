import { jittered } from '../../kernel/clock.ts';
import type { Logger } from '../../platform/log.ts';
import { type Mailer, MailFault } from '../../platform/mail.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { type Database, isDatabaseUnavailable, type Queryable } from '../../platform/postgres.ts';
import { beginLife } from '../one-time-tokens/one-time-tokens.store.ts';
import { answerNext, claimLetter, dropLetter, type DueMail, markSent, putOff } from './delivery.store.ts';
import { faultOf } from './faults.ts';
import type { Letter } from './letters.ts';
import type { Ask, MailSeal } from './outbox.ts';
import { renderLetter } from './templates/render.ts';

export interface DeliveryDeps {
  db: Database;
  mailer: Mailer;
  mailSeal: MailSeal;
  /** Looks up whom an ask concerns, and posts the letters, in the transaction that deletes the ask. */
  answer: (tx: Queryable, ask: Ask) => Promise<void>;
  appUrl: string;
  log: Logger;
  metrics: Pick<Metrics, 'mailDone'>;
}

/** Takes up the ask and the letter that have been due for longest; false where neither is. @throws where the database is away */
export type TakeNext = (onTaken: () => void) => Promise<boolean>;

/** Longer than an attempt, however slow the server is: `sendSeconds`, and a few statements. */
export const leaseSeconds = 60;

const [firstDelaySeconds, longestDelaySeconds] = [5, 15 * 60];

/** 5 s, doubled with each attempt, up to a quarter of an hour. */
const delaySeconds = (attempts: number): number =>
  jittered(Math.min(longestDelaySeconds, firstDelaySeconds * 2 ** Math.min(attempts - 1, 10)));

export function makeDelivery({ db, mailer, mailSeal, answer, appUrl, log, metrics }: DeliveryDeps): TakeNext {
  /** A server that takes nothing is told once, not once a mail. */
  let told = '';

  const putOffFor = async (mail: DueMail, cause: unknown): Promise<void> => {
    if (!(cause instanceof MailFault) && isDatabaseUnavailable(cause)) throw cause;
    const { fault, frames } = faultOf(cause);
    const outcome = await putOff(db, mail, fault, delaySeconds(mail.attempts));
    if (outcome === undefined) return;
    metrics.mailDone(mail.kind, outcome === 'given up' ? 'failed' : 'retried');
    const about = { mail_id: mail.id, kind: mail.kind, attempts: mail.attempts, fault, ...(frames && { frames }) };
    if (outcome === 'given up')
      log.error(about, 'a mail was given up after a day: mend what it failed of, then npm run cli -- mails retry');
    else if (fault !== told) log.warn(about, 'a mail could not be sent; trying again for a day');
    told = fault;
  };

  /** False where its link is void. */
  const send = async ({ id, tokenId, masterKeyId, sealed }: DueMail): Promise<boolean> => {
    const letter = mailSeal.open(id, masterKeyId, sealed) as Letter;
    if (tokenId && !(await beginLife(db, tokenId))) return false;
    await mailer.send({ id, to: letter.to, ...renderLetter(letter, appUrl) });
    return true;
  };

  const deliver = async (mail: DueMail): Promise<void> => {
    try {
      if (!(await send(mail))) return await dropLetter(db, mail.id);
    } catch (cause) {
      return putOffFor(mail, cause);
    }
    await markSent(db, mail.id);
    metrics.mailDone(mail.kind, 'sent');
    if (told) log.info('mails can be sent again');
    told = '';
  };

  return async (onTaken) => {
    const answered = await answerNext(db, (tx, { id, masterKeyId, sealed }) =>
      answer(tx, mailSeal.open(id, masterKeyId, sealed) as Ask),
    );
    if (answered.kind === 'failed') {
      const { mail, cause } = answered;
      await putOffFor({ ...mail, attempts: mail.attempts + 1 }, cause);
    }
    // A letter each time, too: anybody can ask, and more than can be answered must not keep letters from leaving.
    const mail = await claimLetter(db, leaseSeconds);
    if (!mail) return answered.kind !== 'none';
    onTaken();
    await deliver(mail);
    return true;
  };
}
