import { jittered } from '../../lib/clock.ts';
import type { Logger } from '../../platform/log.ts';
import { EmailDeliveryError, type Mailer } from '../../platform/mailer.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { type Database, DatabaseUnavailable } from '../../platform/postgres.ts';
import { restartLifetime } from '../one-time-tokens/one-time-tokens.sql.ts';
import type { EmailCipher } from './email-cipher.ts';
import { claimEmail, type DueEmail, markSent, postponeEmail, takeRequest } from './outbox.sql.ts';
import type { ResolveEmailRequest } from './resolve-email-request.ts';
import { renderEmail } from './templates/render-email.ts';

export interface DeliverEmailDeps {
  db: Database;
  mailer: Mailer;
  emailCipher: EmailCipher;
  resolveEmailRequest: ResolveEmailRequest;
  appUrl: string;
  log: Logger;
  metrics: Pick<Metrics, 'emailAttempted'>;
}

/**
 * Processes the next request and the next email; false if neither exists. With `urgentOnly` only urgent ones: this sender could not
 * send the email of another request. Calls `onClaimed` before it sends. @throws DatabaseUnavailable
 */
export type DeliverNext = (options: { urgentOnly: boolean; onClaimed: () => void }) => Promise<boolean>;

/** Longer than an attempt on the slowest server: `sendSeconds` and a few statements. */
const leaseSeconds = 60;

const minAttempts = 10;

const [firstDelaySeconds, maxDelaySeconds] = [5, 15 * 60];

/** 5 seconds, doubled with each attempt, up to 15 minutes. */
const delaySecondsAfter = (attempts: number): number =>
  jittered(Math.min(maxDelaySeconds, firstDelaySeconds * 2 ** Math.min(attempts - 1, 10)));

/** Describes an error without its message, which can quote addresses, names and rows. */
function describeError(error: unknown): { reason: string; frames?: string[] } {
  if (error instanceof EmailDeliveryError) return { reason: error.message };
  if (!(error instanceof Error)) return { reason: 'internal error: unknown' };
  const words = [error.name, 'code' in error ? error.code : undefined].filter(
    (word) => typeof word === 'string' && /^\w{1,60}$/.test(word),
  );
  const frames = String(error.stack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .map((line) => line.trim());
  return { reason: `internal error: ${words.join(' ') || 'unknown'}`, frames };
}

export function makeDeliverNext(deps: DeliverEmailDeps): DeliverNext {
  const { db, mailer, emailCipher, resolveEmailRequest, appUrl, log, metrics } = deps;
  /** A server that rejects everything is logged once, not once per email. */
  let lastLogged = '';

  const postpone = async (email: DueEmail, error: unknown): Promise<void> => {
    if (error instanceof DatabaseUnavailable) throw error;
    const { id, kind, attempts } = email;
    const { reason, frames } = describeError(error);
    const delaySeconds = delaySecondsAfter(attempts);
    const postponed = await postponeEmail(db, email, { error: reason, delaySeconds, minAttempts });
    if (!postponed) return;
    metrics.emailAttempted(kind, postponed.hasFailed ? 'failed' : 'retried');
    const facts = { email_id: id, kind, attempts, reason, ...(frames && { frames }) };
    if (postponed.hasFailed)
      log.error(
        facts,
        'an email failed for a day and is not retried; fix the cause, then run: npm run cli -- emails retry',
      );
    else if (reason !== lastLogged) log.warn(facts, 'an email could not be sent; it is retried for a day');
    lastLogged = reason;
  };

  /** Resolves the next request, or leaves it unchanged if that fails. Returns whether a request was due. */
  const resolveNext = async (urgentOnly: boolean): Promise<boolean> => {
    const due: DueEmail[] = [];
    try {
      await db.transaction(async (tx) => {
        const email = await takeRequest(tx, { urgentOnly });
        if (!email) return;
        due.push(email);
        await resolveEmailRequest(tx, emailCipher.openRequest(email));
      });
    } catch (error) {
      const [email] = due;
      if (!email) throw error;
      await postpone({ ...email, attempts: email.attempts + 1 }, error);
    }
    return due.length > 0;
  };

  const deliver = async (email: DueEmail): Promise<void> => {
    const { id, kind, tokenId } = email;
    try {
      const message = emailCipher.openMessage(email);
      // The link's token was used or replaced, so the email is out of date.
      if (tokenId && !(await restartLifetime(db, tokenId)))
        return void (await db.outboxEmail.deleteMany({ where: { id } }));
      await mailer.send({ id, to: message.to, ...renderEmail(message, appUrl) });
    } catch (error) {
      return postpone(email, error);
    }
    await markSent(db, id);
    metrics.emailAttempted(kind, 'sent');
    if (lastLogged) log.info('emails can be sent again');
    lastLogged = '';
  };

  return async ({ urgentOnly, onClaimed }) => {
    const hasResolved = await resolveNext(urgentOnly);
    // Each call also delivers an email: anyone can create requests, and a flood of them must not stop the delivery.
    const email = await claimEmail(db, { leaseSeconds, urgentOnly });
    if (!email) return hasResolved;
    onClaimed();
    await deliver(email);
    return true;
  };
}
