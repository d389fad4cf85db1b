import { idFromBytes, idToBytes } from '../../lib/ids.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import { fromBase64Url, hmacSha256, randomSecret, secretsEqual, sha256 } from '../../lib/secrets.ts';

/** The row that an opaque token belongs to, and the hash that the row must contain. */
export interface OpaqueToken<Id extends string> {
  readonly id: Id;
  /** SHA-256 of the secret. */
  readonly hash: Buffer;
}

/** Tokens with a common prefix: base64url of the row's id, a 32-byte secret and a 16-byte MAC. */
export interface OpaqueTokens<Id extends string> {
  /** Creates a token for a row. Only its holder receives `text`. */
  draw(id: Id): OpaqueToken<Id> & { readonly text: string };
  /** Undefined unless the text is exactly a token of this service. Runs no query; whether it is still valid depends on the row. */
  parse(text: string): OpaqueToken<Id> | undefined;
}

const [idBytes, secretBytes, macBytes] = [16, 32, 16];
const signedBytes = idBytes + secretBytes;
/** Length of the base64url text without padding. */
const textLength = Math.ceil(((signedBytes + macBytes) * 4) / 3);

/** The prefix lets secret scanners recognize leaked tokens. It is part of the MAC, so a token is valid with one prefix only. */
export function makeOpaqueTokens<Id extends string>(prefix: string, masterKeys: MasterKeys): OpaqueTokens<Id> {
  const macOf = (signed: Buffer, key: Uint8Array) =>
    hmacSha256(key, Buffer.concat([Buffer.from(prefix), signed])).subarray(0, macBytes);
  return {
    draw(id) {
      const secret = randomSecret(secretBytes);
      const signed = Buffer.concat([idToBytes(id), secret]);
      const text = prefix + Buffer.concat([signed, macOf(signed, masterKeys[0].opaque)]).toString('base64url');
      return { id, hash: sha256(secret), text };
    },

    parse(text) {
      if (text.length !== prefix.length + textLength || !text.startsWith(prefix)) return undefined;
      const bytes = fromBase64Url(text.slice(prefix.length));
      if (bytes?.length !== signedBytes + macBytes) return undefined;
      const [signed, mac] = [bytes.subarray(0, signedBytes), bytes.subarray(signedBytes)];
      if (!masterKeys.some(({ opaque }) => secretsEqual(macOf(signed, opaque), mac))) return undefined;
      return { id: idFromBytes(signed), hash: sha256(signed.subarray(idBytes)) };
    },
  };
}
