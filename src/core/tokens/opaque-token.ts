import { idFromBytes, idToBytes } from '../../lib/ids.ts';
import { fromBase64Url, hmacSha256, randomSecret, secretsEqual, sha256 } from '../../lib/secrets.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';

/** What names the row of an opaque token, and opens it. */
export interface OpaqueToken<Id extends string> {
  readonly id: Id;
  /** SHA-256 of the secret: what the row keeps. */
  readonly hash: Buffer;
}

/** Tokens of one prefix: base64url of the row's id, 32 random bytes and a 16-byte MAC. */
export interface OpaqueTokens<Id extends string> {
  /** The token for a row, with the text that only its holder gets. */
  draw(id: Id): OpaqueToken<Id> & { readonly text: string };
  /** Undefined where the text is not exactly a token of ours. Makes no query; whether it is still good, the row says. */
  parse(text: string): OpaqueToken<Id> | undefined;
}

const [idBytes, secretBytes, macBytes] = [16, 32, 16];
const signedBytes = idBytes + secretBytes;
/** Of base64url, without padding. */
const textLength = Math.ceil(((signedBytes + macBytes) * 4) / 3);

/** The prefix lets secret scanners find a leaked one, and no token of one prefix is good as one of another. */
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
      return { id: idFromBytes(signed) as Id, hash: sha256(signed.subarray(idBytes)) };
    },
  };
}
