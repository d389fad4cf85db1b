import { createPrivateKey } from 'node:crypto';
import { StartupError } from '../../lib/errors.ts';
import { type MasterKeys, seal, unseal } from '../../lib/master-keys.ts';
import { generateSigningKey, makeSigningKey, type SigningAlg, type SigningKey } from './signing-key.ts';
import type { SealedKey, SealedSigningKey } from './signing-keys.store.ts';

/** The operator must act: waiting does not mend it. */
export class KeysUnreadable extends StartupError {}

type Sealed = Pick<SealedSigningKey, 'kid' | 'alg' | 'masterKeyId' | 'sealedKey'>;

/** The PKCS #8 DER and what it makes. @throws KeysUnreadable */
function open({ kid, alg, masterKeyId, sealedKey }: Sealed, masterKeys: MasterKeys) {
  const masterKey = masterKeys.find(({ id }) => id === masterKeyId);
  if (!masterKey)
    throw new KeysUnreadable(
      `MASTER_KEYS does not hold the master key ${masterKeyId} that signing key ${kid} was encrypted under. ` +
        'Append the former master key to MASTER_KEYS; a lost one cannot be replaced, and its signing keys must be deleted.',
    );
  try {
    const der = unseal(masterKey.encryption, kid, sealedKey);
    return { der, key: makeSigningKey(kid, alg, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })) };
  } catch (cause) {
    const message = `Signing key ${kid} is damaged in the database: restore its row from a backup, or delete it.`;
    throw new KeysUnreadable(message, { cause });
  }
}

/** Verifiers get the public half of what was sealed, so that a row that was tampered with publishes nobody else's key. */
export const openKey = (sealed: Sealed, masterKeys: MasterKeys): SigningKey => open(sealed, masterKeys).key;

/** A new key under the first master key. */
export async function makeSealedKey(alg: SigningAlg, [masterKey]: MasterKeys): Promise<SealedKey> {
  const { kid, privateKey } = await generateSigningKey(alg);
  const { publicJwk } = makeSigningKey(kid, alg, privateKey);
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  return { kid, alg, publicJwk, masterKeyId: masterKey.id, sealedKey: seal(masterKey.encryption, kid, der) };
}

/** The same key under the first master key; undefined where it is there already. @throws KeysUnreadable */
export function reseal(sealed: Sealed, masterKeys: MasterKeys): { sealedKey: Buffer; masterKeyId: string } | undefined {
  const [masterKey] = masterKeys;
  const { der } = open(sealed, masterKeys);
  if (sealed.masterKeyId === masterKey.id) return undefined;
  return { sealedKey: seal(masterKey.encryption, sealed.kid, der), masterKeyId: masterKey.id };
}
