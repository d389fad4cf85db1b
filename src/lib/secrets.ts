import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/** Returns `size` bytes from the system's CSPRNG. */
export const randomSecret = (size: number): Buffer => randomBytes(size);

export const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest();

export const hmacSha256 = (key: Uint8Array, data: Uint8Array): Buffer =>
  createHmac('sha256', key).update(data).digest();

/** Derives a 32-byte subkey of `root` for one purpose (HKDF-SHA-256, RFC 5869, without salt). */
export const subkey = (root: Uint8Array, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', root, new Uint8Array(), purpose, 32));

/** Compares two secrets in constant time. */
export const secretsEqual = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

/**
 * Decodes unpadded base64url; undefined for any other spelling. Node's decoder accepts white space, padding, `+`, `/` and stray bits
 * in the last character, so that one secret would have many spellings.
 */
export function fromBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}
