import { jittered } from '../../lib/clock.ts';
import type { Logger } from '../../platform/log.ts';
import type { Mailer } from '../../platform/mailer.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { type Database, DatabaseUnavailable, type Transaction } from '../../platform/postgres.ts';
import { beginLife } from '../one-time-tokens/one-time-tokens.store.ts';
import {
  answerNext,
  claimEmail,
  deleteEmail,
  type DueEmail,
  markSent,
  postponeEmail,
} from './outbox-delivery.store.ts';
import { faultOf } from './delivery-failure.ts';
import type { EmailMessage } from './email-messages.ts';
import type { EmailRequest, EmailCipher } from './outbox.ts';
import { renderEmail } from './templates/render.ts';

export interface DeliveryDeps {
  db: Database;
  mailer: Mailer;
  emailCipher: EmailCipher;
  /** Looks up whom an ask concerns, and posts the letters, in the transaction that deletes the ask. */
  answer: (tx: Transaction, ask: EmailRequest) => Promise<void>;
  appUrl: string;
  log: Logger;
  metrics: Pick<Metrics, 'emailAttempted'>;
}

/** Takes up the ask and the letter that have been due for longest; false where neither is. @throws where the database is away */
export type TakeNext = (onTaken: () => void) => Promise<boolean>;

/** Longer than an attempt, however slow the server is: `sendSeconds`, and a few statements. */
export const leaseSeconds = 60;

const [firstDelaySeconds, longestDelaySeconds] = [5, 15 * 60];

/** 5 s, doubled with each attempt, up to a quarter of an hour. */
const delaySeconds = (attempts: number): number =>
  jittered(Math.min(longestDelaySeconds, firstDelaySeconds * 2 ** Math.min(attempts - 1, 10)));

export function makeDelivery({ db, mailer, emailCipher, answer, appUrl, log, metrics }: DeliveryDeps): TakeNext {
  /** A server that takes nothing is told once, not once a mail. */
  let told = '';

  const putOffFor = async (mail: DueEmail, cause: unknown): Promise<void> => {
    if (cause instanceof DatabaseUnavailable) throw cause;
    const { fault, frames } = faultOf(cause);
    const outcome = await postponeEmail(db, mail, fault, delaySeconds(mail.attempts));
    if (outcome === undefined) return;
    metrics.emailAttempted(mail.kind, outcome === 'given up' ? 'failed' : 'retried');
    const about = { mail_id: mail.id, kind: mail.kind, attempts: mail.attempts, fault, ...(frames && { frames }) };
    if (outcome === 'given up')
      log.error(about, 'a mail was given up after a day: mend what it failed of, then npm run cli -- mails retry');
    else if (fault !== told) log.warn(about, 'a mail could not be sent; trying again for a day');
    told = fault;
  };

  /** False where its link is void. */
  const send = async ({ id, tokenId, masterKeyId, sealed }: DueEmail): Promise<boolean> => {
    const letter = emailCipher.open(id, masterKeyId, sealed) as EmailMessage;
    if (tokenId && !(await beginLife(db, tokenId))) return false;
    await mailer.send({ id, to: letter.to, ...renderEmail(letter, appUrl) });
    return true;
  };

  const deliver = async (mail: DueEmail): Promise<void> => {
    try {
      if (!(await send(mail))) return await deleteEmail(db, mail.id);
    } catch (cause) {
      return putOffFor(mail, cause);
    }
    await markSent(db, mail.id);
    metrics.emailAttempted(mail.kind, 'sent');
    if (told) log.info('mails can be sent again');
    told = '';
  };

  return async (onTaken) => {
    const answered = await answerNext(db, (tx, { id, masterKeyId, sealed }) =>
      answer(tx, emailCipher.open(id, masterKeyId, sealed) as EmailRequest),
    );
    if (answered.kind === 'failed') {
      const { mail, cause } = answered;
      await putOffFor({ ...mail, attempts: mail.attempts + 1 }, cause);
    }
    // A letter each time, too: anybody can ask, and more than can be answered must not keep letters from leaving.
    const mail = await claimEmail(db, leaseSeconds);
    if (!mail) return answered.kind !== 'none';
    onTaken();
    await deliver(mail);
    return true;
  };
}
