import { z } from 'zod';
import type { EmailId, OneTimeTokenId, UserId } from '../../lib/ids.ts';
import { type MasterKeys, seal, unseal } from '../../lib/master-keys.ts';
import { EmailDeliveryError } from '../../platform/mailer.ts';
import { EmailAddress } from '../users/email-address.ts';
import { type EmailKind, type EmailMessage, type EmailRequest, linkPages } from './email-message.ts';

export interface SealedEmail {
  id: EmailId;
  sealed: Uint8Array;
  masterKeyId: string;
}

/** Encrypts emails that wait in the outbox. The id is authenticated, so a payload cannot be moved to another row. */
export interface EmailCipher {
  sealMessage(id: EmailId, message: EmailMessage): SealedEmail;
  sealRequest(id: EmailId, request: EmailRequest): SealedEmail;
  /** @throws EmailDeliveryError if the master key is missing or the payload was changed */
  openMessage(email: SealedEmail): EmailMessage;
  /** @throws EmailDeliveryError if the master key is missing or the payload was changed */
  openRequest(email: SealedEmail): EmailRequest;
}

const uuid = <Id extends string>() => z.custom<Id>((value) => z.uuid().safeParse(value).success);

const StoredMessage = z.object({
  kind: z.custom<EmailKind>((value) => typeof value === 'string' && Object.hasOwn(linkPages, value)),
  to: EmailAddress,
  name: z.string(),
  token: z.object({ id: uuid<OneTimeTokenId>(), text: z.string() }).exactOptional(),
  newEmail: EmailAddress.exactOptional(),
  apiKeys: z
    .object({ areRevoked: z.boolean(), keys: z.array(z.object({ name: z.string(), prefix: z.string() })) })
    .exactOptional(),
});

/** The stored form. Its names must not change: processes of two versions share the outbox during a deployment. */
const StoredRequest = z.object({
  kind: z.enum(['registration', 'verification', 'password_reset']),
  email: EmailAddress,
  userId: uuid<UserId>().exactOptional(),
  client: z.object({
    requestId: z.string(),
    clientRequestId: z.string().nullable().default(null),
    ip: z.string(),
    userAgent: z.string().nullable(),
  }),
});

export function makeEmailCipher(masterKeys: MasterKeys): EmailCipher {
  const sealJson = (id: EmailId, content: unknown): SealedEmail => {
    const [{ id: masterKeyId, mail }] = masterKeys;
    return { id, sealed: seal(mail, id, Buffer.from(JSON.stringify(content))), masterKeyId };
  };

  const openJson = <Content>(schema: z.ZodType<Content>, { id, sealed, masterKeyId }: SealedEmail): Content => {
    const masterKey = masterKeys.find((candidate) => candidate.id === masterKeyId);
    if (!masterKey)
      throw new EmailDeliveryError(`MASTER_KEYS does not contain the master key ${masterKeyId} that sealed this email`);
    try {
      return schema.parse(JSON.parse(unseal(masterKey.mail, id, sealed).toString()));
    } catch {
      throw new EmailDeliveryError('the sealed email is damaged');
    }
  };

  return {
    sealMessage: sealJson,
    sealRequest(id, { source, ...request }) {
      const { id: requestId, clientRequestId, ip, userAgent } = source;
      const client = { requestId, ...(clientRequestId !== null && { clientRequestId }), ip, userAgent };
      return sealJson(id, { ...request, client } satisfies z.input<typeof StoredRequest>);
    },
    openMessage: (email) => openJson(StoredMessage, email),
    openRequest(email) {
      const { client, ...request } = openJson(StoredRequest, email);
      const { requestId: id, ...source } = client;
      return { ...request, source: { id, ...source } };
    },
  };
}
