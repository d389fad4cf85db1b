import type { Clock } from '../../kernel/clock.ts';
import { type MailId, newId, type UserId } from '../../kernel/id.ts';
import { MailFault } from '../../platform/mail.ts';
import { hmacSha256 } from '../../kernel/secret.ts';
import type { Queryable } from '../../platform/postgres.ts';
import type { EventClient } from '../audit/audit.store.ts';
import { type MasterKeys, seal, unseal } from '../keys/master-keys.ts';
import type { Email } from '../users/email.ts';
import type { Letter, LetterKind } from './letters.ts';
import { hasRoom, putMail } from './outbox.store.ts';

/**
 * Somebody is to be written to, if there is such an account: the worker looks it up, so that the answer costs the same
 * for every address.
 */
export interface Ask {
  kind: 'registration' | 'verification' | 'password_reset';
  email: Email;
  /** The account that a registration would make: its address may have been another's. */
  userId?: UserId;
  client: EventClient;
}

/** Finds out for whom an ask is, and posts their letters, in the transaction that takes the ask away. */
export type AnswerAsk = (tx: Queryable, ask: Ask) => Promise<void>;

export type Answers = Record<Ask['kind'], AnswerAsk>;

export interface Outbox {
  /** False where this service sends no mail: then `post` and `ask` do nothing. */
  readonly isOpen: boolean;
  /** Whether an address may get another letter of a kind this hour. Ask before a link is drawn, which voids the last. */
  hasRoom(tx: Queryable, to: Email, kind: LetterKind): Promise<boolean>;
  /** Leaves a letter about an account, in the transaction of what it tells of. */
  post(tx: Queryable, userId: UserId, letter: Letter): Promise<void>;
  /** Leaves it to the worker, which looks a moment later, when the transaction is done, to find out whom to write to, and what. One statement, whatever the address. */
  ask(tx: Queryable, ask: Ask): Promise<void>;
}

/** Seals and opens what waits. The id is authenticated: a payload cannot be moved to another mail. */
export interface MailSeal {
  seal(id: MailId, content: Letter | Ask): { sealed: Buffer; masterKeyId: string };
  /** @throws MailFault where the master key is gone, or the row was tampered with */
  open(id: MailId, masterKeyId: string, sealed: Uint8Array): unknown;
}

export const makeMailSeal = (masterKeys: MasterKeys): MailSeal => ({
  seal: (id, content) => {
    const [{ id: masterKeyId, mail }] = masterKeys;
    return { sealed: seal(mail, id, Buffer.from(JSON.stringify(content))), masterKeyId };
  },
  open(id, masterKeyId, sealed) {
    const masterKey = masterKeys.find((candidate) => candidate.id === masterKeyId);
    if (!masterKey)
      throw new MailFault(`MASTER_KEYS does not hold the master key ${masterKeyId}, which seals this mail`);
    try {
      return JSON.parse(unseal(masterKey.mail, id, sealed).toString());
    } catch {
      throw new MailFault('the sealed mail is damaged');
    }
  },
});

export interface OutboxDeps {
  mailSeal: MailSeal;
  /** Keys the counters, so that the table does not tell who is written to. */
  recipientKey: Uint8Array;
  clock: Clock;
  sendsMail: boolean;
  /** Tells the worker of this process that there is something to do. */
  onMail: () => void;
}

export function makeOutbox({ mailSeal, recipientKey, clock, sendsMail, onMail }: OutboxDeps): Outbox {
  const recipientOf = (to: Email) => hmacSha256(recipientKey, Buffer.from(to));
  return {
    isOpen: sendsMail,
    hasRoom: (tx, to, kind) => hasRoom(tx, recipientOf(to), kind),
    async post(tx, userId, letter) {
      if (!sendsMail) return;
      const id = newId<MailId>(clock.nowMs());
      const { kind, to, token } = letter;
      const [sealed, recipient] = [mailSeal.seal(id, letter), recipientOf(to)];
      await putMail(tx, { id, stage: 'written', kind, userId, recipient, tokenId: token?.id ?? null, ...sealed });
      onMail();
    },
    async ask(tx, ask) {
      if (!sendsMail) return;
      const id = newId<MailId>(clock.nowMs());
      const { kind } = ask;
      const nobody = { userId: null, recipient: null, tokenId: null };
      await putMail(tx, { id, stage: 'asked', kind, ...nobody, ...mailSeal.seal(id, ask) });
      onMail();
    },
  };
}
