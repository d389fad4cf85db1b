import { createPrivateKey } from 'node:crypto';
import { StartupError } from '../../lib/errors.ts';
import { type MasterKeys, seal, unseal } from '../../lib/master-keys.ts';
import { generateSigningKey, makeSigningKey, type PublicJwk, type SigningAlg, type SigningKey } from './signing-key.ts';

/** A signing key as it is stored: its private half is encrypted under a master key. */
export interface SealedKey {
  kid: string;
  alg: SigningAlg;
  masterKeyId: string;
  /** The PKCS #8 DER of the private key, sealed with the `kid` as associated data. */
  sealedKey: Uint8Array;
}

export interface NewSealedKey extends SealedKey {
  /** Stored for operators. The published JWK is derived from the sealed key. */
  publicJwk: PublicJwk;
}

/** A signing key cannot be decrypted until the operator acts. */
class KeysUnreadable extends StartupError {}

function unsealKey({ kid, alg, masterKeyId, sealedKey }: SealedKey, masterKeys: MasterKeys) {
  const masterKey = masterKeys.find(({ id }) => id === masterKeyId);
  if (!masterKey)
    throw new KeysUnreadable(
      `MASTER_KEYS does not contain master key ${masterKeyId}, which encrypts signing key ${kid}. ` +
        'Append the old master key to MASTER_KEYS. If it is lost, delete the rows of signing_keys that use it.',
    );
  try {
    const der = unseal(masterKey.encryption, kid, sealedKey);
    return { der, key: makeSigningKey(kid, alg, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })) };
  } catch (cause) {
    const message = `Signing key ${kid} is damaged in the database. Restore its row from a backup, or delete it.`;
    throw new KeysUnreadable(message, { cause });
  }
}

/** Decrypts a key. The public half is derived from the private one, so a forged `public_jwk` is never published. @throws KeysUnreadable */
export const openKey = (sealed: SealedKey, masterKeys: MasterKeys): SigningKey => unsealKey(sealed, masterKeys).key;

/** Generates a key and encrypts it under the first master key. */
export async function generateSealedKey(alg: SigningAlg, [masterKey]: MasterKeys): Promise<NewSealedKey> {
  const { kid, privateKey } = await generateSigningKey(alg);
  const { publicJwk } = makeSigningKey(kid, alg, privateKey);
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  return { kid, alg, publicJwk, masterKeyId: masterKey.id, sealedKey: seal(masterKey.encryption, kid, der) };
}

/** Encrypts a key under the first master key; undefined if it already is. @throws KeysUnreadable */
export function resealKey(sealed: SealedKey, masterKeys: MasterKeys): SealedKey | undefined {
  const [masterKey] = masterKeys;
  const { der } = unsealKey(sealed, masterKeys);
  if (sealed.masterKeyId === masterKey.id) return undefined;
  return { ...sealed, masterKeyId: masterKey.id, sealedKey: seal(masterKey.encryption, sealed.kid, der) };
}
