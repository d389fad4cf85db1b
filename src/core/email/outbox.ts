import type { Clock } from '../../lib/clock.ts';
import { type EmailId, newId, type UserId } from '../../lib/ids.ts';
import { hmacSha256 } from '../../lib/secrets.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { type EmailAddress, mailboxOf } from '../users/email-address.ts';
import type { EmailCipher, SealedEmail } from './email-cipher.ts';
import { type EmailKind, type EmailMessage, type EmailRequest, isUrgentRequest } from './email-message.ts';
import { countRecentEmails, lockRecipient } from './outbox.sql.ts';

/** Emails to send. They are stored in the transaction of the change that they are about: both are committed, or neither. */
export interface Outbox {
  /** Whether this service sends email. Otherwise both `enqueue` functions do nothing. */
  readonly isEnabled: boolean;
  /**
   * Whether a recipient can receive another email of a kind this hour, whichever users request it. Check this before you issue a
   * token, because the new token invalidates the previous one. Do not show the result for an address that the user does not have,
   * unless the kind is one of `newAddressKinds`: it can depend on whether an account has the address. Emails that are not urgent
   * cannot use `reservedPerHour`.
   */
  hasCapacity(tx: Transaction, to: EmailAddress, kind: EmailKind, options?: { isUrgent: boolean }): Promise<boolean>;
  /** Stores an email about a user. Emails that are not urgent are sent after all others. */
  enqueue(tx: Transaction, userId: UserId, message: EmailMessage, options?: { isUrgent: boolean }): Promise<void>;
  /** Stores a request with one statement, whatever the address. Registrations are not urgent: a flood of them can be waiting. */
  enqueueRequest(tx: Transaction, request: EmailRequest): Promise<void>;
}

/** Prevents abuse of the service to flood a mailbox. */
const maxEmailsPerHour = 10;

/**
 * An address receives this many emails of a limit even if other addresses of its mailbox have used it up. Otherwise a stranger could
 * keep a password reset from someone by requesting emails to aliases.
 */
const reservedPerHour = 2;

/**
 * What anyone can send to an address that was never verified, by registering it. The limit is that of the mailbox, for all of its
 * addresses together. A verified address has a limit of its own, so that others cannot use it up.
 */
const unverifiedKinds: readonly (readonly EmailKind[])[] = [
  ['verify_email', 'already_registered'],
  ['reset_password'],
  ['password_changed'],
];

/** What any user can send to a new address. The limit is that of the mailbox, whether or not an account has the address. */
const newAddressKinds: readonly EmailKind[] = ['confirm_new_email', 'address_in_use'];

/** The emails that count together. */
interface EmailLimit {
  recipient: Buffer;
  kinds: readonly EmailKind[];
}

export interface OutboxDeps {
  emailCipher: EmailCipher;
  /** Keys the counters, so that the table does not reveal who receives email. */
  recipientKey: Uint8Array;
  clock: Clock;
  isEnabled: boolean;
  /** Called for each stored email, before its transaction is committed. */
  onEnqueued: () => void;
}

export function makeOutbox({ emailCipher, recipientKey, clock, isEnabled, onEnqueued }: OutboxDeps): Outbox {
  const addressKey = (to: EmailAddress) => hmacSha256(recipientKey, Buffer.from(to));
  const mailboxKey = (to: EmailAddress) => hmacSha256(recipientKey, Buffer.from(`mailbox:${mailboxOf(to)}`));

  const limitOf = async (tx: Transaction, to: EmailAddress, kind: EmailKind): Promise<EmailLimit> => {
    if (newAddressKinds.includes(kind)) return { recipient: mailboxKey(to), kinds: newAddressKinds };
    const kinds = unverifiedKinds.find((each) => each.includes(kind));
    if (kinds && (await tx.user.count({ where: { email: to, emailVerified: true } })) === 0)
      return { recipient: mailboxKey(to), kinds };
    return { recipient: addressKey(to), kinds: [kind] };
  };

  const insert = async (
    tx: Transaction,
    { id, sealed, masterKeyId }: SealedEmail,
    row: {
      stage: 'asked' | 'written';
      kind: string;
      isUrgent: boolean;
      userId?: UserId;
      recipient?: Buffer;
      address?: Buffer;
      tokenId?: string;
    },
  ) => {
    const { stage, kind, isUrgent, userId = null, tokenId = null, recipient, address } = row;
    await tx.outboxEmail.create({
      data: {
        id,
        stage,
        kind,
        isUrgent,
        userId,
        recipient: recipient ? new Uint8Array(recipient) : null,
        address: address ? new Uint8Array(address) : null,
        tokenId,
        payload: new Uint8Array(sealed),
        masterKeyId,
      },
      select: { id: true },
    });
    onEnqueued();
  };

  return {
    isEnabled,
    async hasCapacity(tx, to, kind, { isUrgent } = { isUrgent: true }) {
      const { recipient, kinds } = await limitOf(tx, to, kind);
      await lockRecipient(tx, recipient);
      const { total, toAddress } = await countRecentEmails(tx, { recipient, address: addressKey(to), kinds });
      return total < maxEmailsPerHour || (isUrgent && toAddress < reservedPerHour);
    },
    async enqueue(tx, userId, message, { isUrgent } = { isUrgent: true }) {
      if (!isEnabled) return;
      const { kind, to, token } = message;
      const email = emailCipher.sealMessage(newId<EmailId>(clock.nowMs()), message);
      const { recipient } = await limitOf(tx, to, kind);
      const row = {
        stage: 'written',
        kind,
        isUrgent,
        userId,
        recipient,
        address: addressKey(to),
        ...(token && { tokenId: token.id }),
      } as const;
      await insert(tx, email, row);
    },
    async enqueueRequest(tx, request) {
      if (!isEnabled) return;
      const email = emailCipher.sealRequest(newId<EmailId>(clock.nowMs()), request);
      const { kind } = request;
      await insert(tx, email, { stage: 'asked', kind, isUrgent: isUrgentRequest(request) });
    },
  };
}
