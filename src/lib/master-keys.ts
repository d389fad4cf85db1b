import { createCipheriv, createDecipheriv } from 'node:crypto';
import { randomSecret, sha256, subkey } from './secrets.ts';

/** The subkeys of one master key (HKDF-SHA-256). The master key itself is used for nothing else. */
export interface MasterKey {
  /** Names the master key without telling it. */
  readonly id: string;
  /** Proves that this service made a refresh token. */
  readonly mac: Buffer;
  /** Derives the next refresh token from the last. */
  readonly ratchet: Buffer;
  /** Encrypts signing keys. */
  readonly encryption: Buffer;
  /** Makes the CSRF tokens of sessions. */
  readonly csrf: Buffer;
  /** Keys the counters of failed logins. */
  readonly lockout: Buffer;
  /** Proves that this service made a one-time token or an API key. */
  readonly opaque: Buffer;
  /** Encrypts mails that wait. */
  readonly mail: Buffer;
  /** Keys the counters of mails by address. */
  readonly recipient: Buffer;
  /** Makes fingerprints of the settings. */
  readonly settings: Buffer;
}

/** The first makes, all verify: `MASTER_KEYS`. */
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
    settings: subkey(root, 'keyturn/settings'),
  }));
  if (!first) throw new Error('MASTER_KEYS is empty');
  return [first, ...others];
}

const [nonceBytes, tagBytes] = [12, 16];

/**
 * AES-256-GCM under a subkey: nonce, ciphertext, tag. `name` is authenticated, so that what is sealed cannot be moved to
 * another row.
 */
export function seal(key: Uint8Array, name: string, plain: Uint8Array): Buffer {
  const nonce = randomSecret(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @throws where the key, the name or a byte is not what `seal` had */
export function unseal(key: Uint8Array, name: string, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed);
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
    .setAAD(Buffer.from(name))
    .setAuthTag(bytes.subarray(-tagBytes));
  return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
}
