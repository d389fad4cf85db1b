import type { Clock } from '../../lib/clock.ts';
import { type EmailId, newId, type UserId } from '../../lib/ids.ts';
import { EmailDeliveryError } from '../../platform/mailer.ts';
import { hmacSha256 } from '../../lib/secrets.ts';
import type { Transaction } from '../../platform/postgres.ts';
import type { RequestSource } from '../request-info.ts';
import { type MasterKeys, seal, unseal } from '../../lib/master-keys.ts';
import type { EmailAddress } from '../users/email-address.ts';
import type { EmailMessage, EmailKind } from './email-messages.ts';
import { hasRoom, insertEmail } from './outbox.store.ts';

/**
 * Somebody is to be written to, if there is such an account: the worker looks it up, so that the answer costs the same
 * for every address.
 */
export interface EmailRequest {
  kind: 'registration' | 'verification' | 'password_reset';
  email: EmailAddress;
  /** The account that a registration would make: its address may have been another's. */
  userId?: UserId;
  request: RequestSource;
}

/** Finds out for whom an ask is, and posts their letters, in the transaction that takes the ask away. */
export type ResolveEmailRequest = (tx: Transaction, ask: EmailRequest) => Promise<void>;

export type Answers = Record<EmailRequest['kind'], ResolveEmailRequest>;

export interface Outbox {
  /** False where this service sends no mail: then `post` and `ask` do nothing. */
  readonly isOpen: boolean;
  /** Whether an address may get another letter of a kind this hour. Ask before a link is drawn, which voids the last. */
  hasRoom(tx: Transaction, to: EmailAddress, kind: EmailKind): Promise<boolean>;
  /** Leaves a letter about an account, in the transaction of what it tells of. */
  post(tx: Transaction, userId: UserId, letter: EmailMessage): Promise<void>;
  /** Leaves it to the worker, which looks a moment later, when the transaction is done, to find out whom to write to, and what. One statement, whatever the address. */
  ask(tx: Transaction, ask: EmailRequest): Promise<void>;
}

/** Seals and opens what waits. The id is authenticated: a payload cannot be moved to another mail. */
export interface EmailCipher {
  seal(id: EmailId, content: EmailMessage | EmailRequest): { sealed: Buffer; masterKeyId: string };
  /** @throws MailFault where the master key is gone, or the row was tampered with */
  open(id: EmailId, masterKeyId: string, sealed: Uint8Array): unknown;
}

export const makeEmailCipher = (masterKeys: MasterKeys): EmailCipher => ({
  seal: (id, content) => {
    const [{ id: masterKeyId, mail }] = masterKeys;
    return { sealed: seal(mail, id, Buffer.from(JSON.stringify(content))), masterKeyId };
  },
  open(id, masterKeyId, sealed) {
    const masterKey = masterKeys.find((candidate) => candidate.id === masterKeyId);
    if (!masterKey)
      throw new EmailDeliveryError(`MASTER_KEYS does not hold the master key ${masterKeyId}, which seals this mail`);
    try {
      return JSON.parse(unseal(masterKey.mail, id, sealed).toString());
    } catch {
      throw new EmailDeliveryError('the sealed mail is damaged');
    }
  },
});

export interface OutboxDeps {
  emailCipher: EmailCipher;
  /** Keys the counters, so that the table does not tell who is written to. */
  recipientKey: Uint8Array;
  clock: Clock;
  sendsMail: boolean;
  /** Tells the worker of this process that there is something to do. */
  onMail: () => void;
}

export function makeOutbox({ emailCipher, recipientKey, clock, sendsMail, onMail }: OutboxDeps): Outbox {
  const recipientOf = (to: EmailAddress) => hmacSha256(recipientKey, Buffer.from(to));
  return {
    isOpen: sendsMail,
    hasRoom: (tx, to, kind) => hasRoom(tx, recipientOf(to), kind),
    async post(tx, userId, letter) {
      if (!sendsMail) return;
      const id = newId<EmailId>(clock.nowMs());
      const { kind, to, token } = letter;
      const [sealed, recipient] = [emailCipher.seal(id, letter), recipientOf(to)];
      await insertEmail(tx, { id, stage: 'written', kind, userId, recipient, tokenId: token?.id ?? null, ...sealed });
      onMail();
    },
    async ask(tx, ask) {
      if (!sendsMail) return;
      const id = newId<EmailId>(clock.nowMs());
      const { kind } = ask;
      const nobody = { userId: null, recipient: null, tokenId: null };
      await insertEmail(tx, { id, stage: 'asked', kind, ...nobody, ...emailCipher.seal(id, ask) });
      onMail();
    },
  };
}
