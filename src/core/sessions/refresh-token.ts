import { idFromBytes, idToBytes, type SessionId } from '../../lib/ids.ts';
import { fromBase64Url, hmacSha256, randomSecret, secretsEqual, sha256 } from '../../lib/secrets.ts';
import type { MasterKey, MasterKeys } from '../../lib/master-keys.ts';

/**
 * A refresh token that this service made: its MAC has been checked. Whether it is still good is for its session's row to
 * say. docs/decisions/0001-refresh-ratchet.md tells how the parts hold one another.
 */
export interface RefreshToken {
  readonly sessionId: SessionId;
  readonly generation: number;
  /** 32 bytes */
  readonly secret: Buffer;
  /** The master key that verified the MAC; every later token of the session comes from it. */
  readonly key: MasterKey;
}

export interface Ratchet {
  /** The token of generation 0. */
  start(sessionId: SessionId): RefreshToken;
  /** Undefined where the text is not exactly a token of ours. Makes no query. */
  parse(text: string): RefreshToken | undefined;
}

const prefix = 'ktr_';
const [idBytes, generationBytes, secretBytes, macBytes] = [16, 4, 32, 16];
const signedBytes = idBytes + generationBytes + secretBytes;
const textLength = prefix.length + 91;
export const saltBytes = 16;

const macContext = Buffer.from('ktr');

/** session id, generation (big-endian), secret: what the MAC covers and what a step begins with */
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

/** What the row keeps: a dump of it opens nothing. */
export const hashToken = (token: RefreshToken): Buffer => sha256(token.secret);

export const newSalt = (): Buffer => randomSecret(saltBytes);

/** The one successor that a token has under a salt: who knows both computes the same. */
export const successor = (token: RefreshToken, salt: Uint8Array): RefreshToken => ({
  ...token,
  generation: token.generation + 1,
  secret: hmacSha256(token.key.ratchet, Buffer.concat([signedPart(token), salt])),
});

/** Walks to the newest generation: `salts` are those of the latest turns, newest first, one for each step to take. */
export const forward = (token: RefreshToken, salts: readonly Uint8Array[]): RefreshToken =>
  salts.reduceRight((current, salt) => successor(current, salt), token);

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
      sessionId: idFromBytes(signed) as SessionId,
      generation: signed.readUInt32BE(idBytes),
      secret: signed.subarray(idBytes + generationBytes),
      key,
    };
  },
});
