import { createPrivateKey } from 'node:crypto';
import { NotReady } from '../../kernel/refusal.ts';
import type { Database } from '../../platform/postgres.ts';
import { StartRefused } from '../../platform/shutdown.ts';
import { type MasterKeys, seal, unseal } from './master-keys.ts';
import { generateSigningKey, makeSigningKey, type PublicJwk, type SigningAlg, type SigningKey } from './signing-key.ts';
import { ensureActiveKey, type SealedSigningKey } from './signing-keys.store.ts';

/** The operator must act: waiting does not mend it. */
export class KeysUnreadable extends StartRefused {}

/** The signing keys of this process, in memory: JWKS and verification go on while the database is down. */
export interface Keyring {
  /** The key that signs. @throws NotReady before the first load */
  active(): SigningKey;
  /** A published key by its `kid`. */
  find(kid: string): SigningKey | undefined;
  /** Public halves for the JWKS. @throws NotReady before the first load */
  published: () => PublicJwk[];
  isLoaded: () => boolean;
  /** Reads the keys from Postgres and makes the first one. @throws KeysUnreadable, or the database's fault */
  load(): Promise<void>;
}

export interface KeyringDeps {
  db: Database;
  masterKeys: MasterKeys;
  alg: SigningAlg;
}

function open(sealed: SealedSigningKey, masterKeys: MasterKeys): SigningKey {
  const { kid, masterKeyId, publicJwk, sealedKey } = sealed;
  const masterKey = masterKeys.find(({ id }) => id === masterKeyId);
  if (!masterKey)
    throw new KeysUnreadable(
      `MASTER_KEYS does not hold the master key ${masterKeyId} that signing key ${kid} was encrypted under. ` +
        'Append the former master key to MASTER_KEYS; a lost one cannot be replaced, and its signing keys must be deleted.',
    );
  try {
    const der = unseal(masterKey, kid, sealedKey);
    return makeSigningKey(publicJwk, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  } catch (cause) {
    const message = `Signing key ${kid} is damaged in the database: restore its row from a backup, or delete it.`;
    throw new KeysUnreadable(message, { cause });
  }
}

export function makeKeyring({ db, masterKeys, alg }: KeyringDeps): Keyring {
  let signer: SigningKey | undefined;
  let keys = new Map<string, SigningKey>();

  const create = async () => {
    const { privateKey, publicJwk } = await generateSigningKey(alg);
    const [masterKey] = masterKeys;
    const der = privateKey.export({ format: 'der', type: 'pkcs8' });
    const { kid } = publicJwk;
    return { kid, alg, publicJwk, masterKeyId: masterKey.id, sealedKey: seal(masterKey, kid, der) };
  };

  const loaded = (): SigningKey => {
    if (!signer) throw new NotReady('no signing key yet');
    return signer;
  };

  return {
    active: loaded,
    find: (kid) => keys.get(kid),
    published: () => (loaded(), [...keys.values()].map(({ publicJwk }) => publicJwk)),
    isLoaded: () => signer !== undefined,
    async load() {
      const sealed = await ensureActiveKey(db, alg, create);
      const opened = new Map(sealed.map((key) => [key.kid, open(key, masterKeys)]));
      signer = opened.get(sealed.find((key) => key.status === 'active' && key.alg === alg)?.kid ?? '');
      keys = opened;
    },
  };
}
