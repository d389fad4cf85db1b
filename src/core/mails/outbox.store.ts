import type { MailId, OneTimeTokenId, UserId } from '../../kernel/id.ts';
import type { Queryable } from '../../platform/postgres.ts';

export interface NewMail {
  id: MailId;
  stage: 'asked' | 'written';
  kind: string;
  userId: UserId | null;
  tokenId: OneTimeTokenId | null;
  sealed: Buffer;
  masterKeyId: string;
}

export async function putMail(tx: Queryable, mail: NewMail): Promise<void> {
  const { id, stage, kind, userId, tokenId, sealed, masterKeyId } = mail;
  await tx.$executeRaw`
    INSERT INTO mails (id, stage, kind, user_id, token_id, payload, master_key_id)
    VALUES (${id}::uuid, ${stage}, ${kind}, ${userId}::uuid, ${tokenId}::uuid, ${sealed}, ${masterKeyId})`;
}

/** Letters of one kind about one account in an hour: nobody's mailbox is flooded through us. */
const mostAnHour = 10;

/** Whether an account may get another letter of a kind this hour. */
export async function hasRoom(tx: Queryable, userId: UserId, kind: string): Promise<boolean> {
  const [row] = await tx.$queryRaw<{ letters: bigint }[]>`
    SELECT count(*) AS letters FROM mails
    WHERE user_id = ${userId}::uuid AND kind = ${kind} AND created_at > statement_timestamp() - interval '1 hour'`;
  return Number(row?.letters ?? 0) < mostAnHour;
}
