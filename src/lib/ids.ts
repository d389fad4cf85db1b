import { randomBytes, randomUUID } from 'node:crypto';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type UserId = Branded<'UserId'>;
export type SessionId = Branded<'SessionId'>;
export type EventId = Branded<'EventId'>;
export type OneTimeTokenId = Branded<'OneTimeTokenId'>;
export type EmailId = Branded<'EmailId'>;
export type ApiKeyId = Branded<'ApiKeyId'>;
export type AccessTokenId = Branded<'AccessTokenId'>;

/** Creates a UUIDv7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, 74 random bits. */
export function newId<Id extends UserId | SessionId | EventId | OneTimeTokenId | EmailId | ApiKeyId | AccessTokenId>(
  nowMs: number,
): Id {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return idFromBytes(bytes);
}

/** Creates a random UUID (version 4), for ids that are not stored in the database. */
export const randomId = (): string => randomUUID();

/** The time of a UUIDv7 in milliseconds since the epoch; undefined for other text. */
export const timeOfId = (id: string): number | undefined =>
  /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/.test(id)
    ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
    : undefined;

/** The smallest id of this time. Later ids are greater. */
export const minId = <Id extends EventId>(ms: number): Id =>
  idFromBytes(Buffer.from(ms.toString(16).padStart(12, '0').padEnd(32, '0'), 'hex'));

/** Formats 16 bytes as a lowercase UUID. */
export function idFromBytes<Id extends string>(bytes: Buffer): Id {
  const hex = bytes.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Id;
}

export const idToBytes = (id: string): Buffer => Buffer.from(id.replaceAll('-', ''), 'hex');

/** Parses a UUID and normalizes it to lowercase; undefined for other text. */
export function parseId<Id extends UserId | SessionId | ApiKeyId>(text: string): Id | undefined {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text) ? (text.toLowerCase() as Id) : undefined;
}

/** A valid UUID as an id, in its canonical lower-case form. */
export const toId = <Id extends string>(uuid: string): Id => uuid.toLowerCase() as Id;
