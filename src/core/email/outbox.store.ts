import type { EmailId, OneTimeTokenId, UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';

export interface NewOutboxEmail {
  id: EmailId;
  stage: 'asked' | 'written';
  kind: string;
  userId: UserId | null;
  /** HMAC of the address; null of an ask. */
  recipient: Buffer | null;
  tokenId: OneTimeTokenId | null;
  sealed: Buffer;
  masterKeyId: string;
}

export async function insertEmail(tx: Transaction, mail: NewOutboxEmail): Promise<void> {
  const { id, stage, kind, userId, recipient, tokenId, sealed, masterKeyId } = mail;
  await tx.$executeRaw`
    INSERT INTO mails (id, stage, kind, user_id, recipient, token_id, payload, master_key_id)
    VALUES (${id}::uuid, ${stage}, ${kind}, ${userId}::uuid, ${recipient}, ${tokenId}::uuid, ${sealed}, ${masterKeyId})`;
}

/** Letters of one kind to one address in an hour, whoever asks for them: nobody's mailbox is flooded through us. */
const maxAnHour = 10;

/** Whether an address may get another letter of a kind this hour. */
export async function hasRoom(tx: Transaction, recipient: Buffer, kind: string): Promise<boolean> {
  const [row] = await tx.$queryRaw<{ letters: bigint }[]>`
    SELECT count(*) AS letters FROM mails
    WHERE recipient = ${recipient} AND kind = ${kind} AND created_at > statement_timestamp() - interval '1 hour'`;
  return Number(row?.letters ?? 0) < maxAnHour;
}
