import { createCipheriv, createDecipheriv } from 'node:crypto';
import { randomSecret, sha256, subkey } from './secrets.ts';

/** The subkeys of a master key (HKDF-SHA-256). The master key itself is used for nothing else. */
export interface MasterKey {
  /** Identifies the master key without revealing it. */
  readonly id: string;
  /** Authenticates refresh tokens. */
  readonly mac: Buffer;
  /** Derives the next refresh token from the current one. */
  readonly ratchet: Buffer;
  /** Encrypts signing keys. */
  readonly encryption: Buffer;
  /** Derives the CSRF tokens of sessions. */
  readonly csrf: Buffer;
  /** Keys the HMACs under which failed logins are counted. */
  readonly lockout: Buffer;
  /** Authenticates one-time tokens and API keys. */
  readonly opaque: Buffer;
  /** Encrypts the emails in the outbox. */
  readonly mail: Buffer;
  /** Keys the HMACs under which emails are counted per address. */
  readonly recipient: Buffer;
  /** Keys the HMACs that name rate limit partitions in responses. */
  readonly partition: Buffer;
  /** Keys the fingerprints of the configuration. */
  readonly settings: Buffer;
}

/** `MASTER_KEYS`. The first encrypts and signs; all decrypt and verify. */
export type MasterKeys = readonly [MasterKey, ...MasterKey[]];

export function deriveMasterKeys(roots: readonly Buffer[]): MasterKeys {
  const [first, ...others] = roots.map((root) => ({
    id: sha256(subkey(root, 'keyturn/id')).toString('hex', 0, 8),
    mac: subkey(root, 'keyturn/refresh-token/mac'),
    ratchet: subkey(root, 'keyturn/refresh-token/ratchet'),
    encryption: subkey(root, 'keyturn/signing-key/encryption'),
    csrf: subkey(root, 'keyturn/csrf'),
    lockout: subkey(root, 'keyturn/lockout'),
    opaque: subkey(root, 'keyturn/opaque-token/mac'),
    mail: subkey(root, 'keyturn/mail/encryption'),
    recipient: subkey(root, 'keyturn/mail/recipient'),
    partition: subkey(root, 'keyturn/rate-limit/partition'),
    settings: subkey(root, 'keyturn/settings'),
  }));
  if (!first) throw new Error('MASTER_KEYS is empty');
  return [first, ...others];
}

const [nonceBytes, tagBytes] = [12, 16];

/**
 * Encrypts with AES-256-GCM and returns nonce, ciphertext and tag. `name` is authenticated, so that the result cannot be moved to
 * another row.
 */
export function seal(key: Uint8Array, name: string, plain: Uint8Array): Buffer {
  const nonce = randomSecret(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Decrypts the result of `seal`. @throws if the key, the name or any byte differs */
export function unseal(key: Uint8Array, name: string, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed);
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
    .setAAD(Buffer.from(name))
    .setAuthTag(bytes.subarray(-tagBytes));
  return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
}
