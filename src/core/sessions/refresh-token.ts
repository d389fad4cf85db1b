import { idFromBytes, idToBytes, type SessionId } from '../../lib/ids.ts';
import type { MasterKey, MasterKeys } from '../../lib/master-keys.ts';
import { fromBase64Url, hmacSha256, randomSecret, secretsEqual, sha256 } from '../../lib/secrets.ts';

/**
 * A refresh token that this service issued: its MAC was verified. Whether it is still valid depends on the session's row.
 * docs/decisions/0001-refresh-ratchet.md describes the format.
 */
export interface RefreshToken {
  readonly sessionId: SessionId;
  readonly generation: number;
  /** 32 bytes */
  readonly secret: Buffer;
  /** The master key that verified the MAC. Every later token of the session is derived with it. */
  readonly key: MasterKey;
}

export interface Ratchet {
  /** The token of generation 0. */
  start(sessionId: SessionId): RefreshToken;
  /** Undefined unless the text is exactly a token of this service. Runs no query. */
  parse(text: string): RefreshToken | undefined;
}

const prefix = 'ktr_';
const [idBytes, generationBytes, secretBytes, macBytes] = [16, 4, 32, 16];
const signedBytes = idBytes + generationBytes + secretBytes;
const textLength = prefix.length + 91;
export const saltBytes = 16;

const macContext = Buffer.from('ktr');

/** Session id, generation (big-endian) and secret: the input of the MAC and of the next secret. */
function signedPart({ sessionId, generation, secret }: RefreshToken): Buffer {
  const bytes = Buffer.allocUnsafe(signedBytes);
  idToBytes(sessionId).copy(bytes, 0);
  bytes.writeUInt32BE(generation, idBytes);
  secret.copy(bytes, idBytes + generationBytes);
  return bytes;
}

const macOf = (signed: Buffer, key: MasterKey): Buffer =>
  hmacSha256(key.mac, Buffer.concat([macContext, signed])).subarray(0, macBytes);

export const formatToken = (token: RefreshToken): string => {
  const signed = signedPart(token);
  return prefix + Buffer.concat([signed, macOf(signed, token.key)]).toString('base64url');
};

/** The hash that the row stores, so that a database dump contains no usable token. */
export const hashToken = (token: RefreshToken): Buffer => sha256(token.secret);

export const newSalt = (): Buffer => randomSecret(saltBytes);

/** Derives the next token. The same token and salt always give the same successor. */
export const next = (token: RefreshToken, salt: Uint8Array): RefreshToken => ({
  ...token,
  generation: token.generation + 1,
  secret: hmacSha256(token.key.ratchet, Buffer.concat([signedPart(token), salt])),
});

/** Derives the token `salts.length` generations later. `salts` are those of the rotations in between, newest first. */
export const advance = (token: RefreshToken, salts: readonly Uint8Array[]): RefreshToken =>
  salts.reduceRight((current, salt) => next(current, salt), token);

export const makeRatchet = (masterKeys: MasterKeys): Ratchet => ({
  start: (sessionId) => ({ sessionId, generation: 0, secret: randomSecret(secretBytes), key: masterKeys[0] }),

  parse(text) {
    if (text.length !== textLength || !text.startsWith(prefix)) return undefined;
    const bytes = fromBase64Url(text.slice(prefix.length));
    if (bytes?.length !== signedBytes + macBytes) return undefined;
    const [signed, mac] = [bytes.subarray(0, signedBytes), bytes.subarray(signedBytes)];
    const key = masterKeys.find((candidate) => secretsEqual(macOf(signed, candidate), mac));
    if (!key) return undefined;
    return {
      sessionId: idFromBytes(signed),
      generation: signed.readUInt32BE(idBytes),
      secret: signed.subarray(idBytes + generationBytes),
      key,
    };
  },
});
