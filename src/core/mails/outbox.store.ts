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

/** Letters of one kind about one account in an hour: nobody's mailbox is flooded through us. */
export const mostAnHour = 10;

/** Puts a mail into the outbox; of a kind of which an account had its share this hour, nothing. */
export async function putMail(tx: Queryable, mail: NewMail): Promise<void> {
  const { id, stage, kind, userId, tokenId, sealed, masterKeyId } = mail;
  await tx.$executeRaw`
    INSERT INTO mails (id, stage, kind, user_id, token_id, payload, master_key_id)
    SELECT ${id}::uuid, ${stage}, ${kind}, ${userId}::uuid, ${tokenId}::uuid, ${sealed}, ${masterKeyId}
    WHERE (
      SELECT count(*) FROM mails
      WHERE user_id = ${userId}::uuid AND kind = ${kind} AND created_at > statement_timestamp() - interval '1 hour'
    ) < ${mostAnHour}`;
}
