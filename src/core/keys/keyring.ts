import { createPrivateKey } from 'node:crypto';
import { NotReady } from '../../kernel/refusal.ts';
import type { Database } from '../../platform/postgres.ts';
import { StartRefused } from '../../kernel/start-refused.ts';
import { type MasterKeys, seal, unseal } from './master-keys.ts';
import { generateSigningKey, makeSigningKey, type PublicJwk, type SigningAlg, type SigningKey } from './signing-key.ts';
import { ensureActiveKey, replaceSeal, type SealedSigningKey } from './signing-keys.store.ts';

/** The operator must act: waiting does not mend it. */
export class KeysUnreadable extends StartRefused {}

/** The signing keys of this process, in memory: JWKS and verification go on while the database is down. */
export interface Keyring {
  /** The key that signs. @throws NotReady before the first load */
  active(): SigningKey;
  /** When the active key began to sign; undefined before the first load. */
  activeSince(): Date | undefined;
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

/** Verifiers get the public half of what was sealed, so that a row that was tampered with publishes nobody else's key. */
function open({ kid, alg, masterKeyId, sealedKey }: SealedSigningKey, masterKeys: MasterKeys) {
  const masterKey = masterKeys.find(({ id }) => id === masterKeyId);
  if (!masterKey)
    throw new KeysUnreadable(
      `MASTER_KEYS does not hold the master key ${masterKeyId} that signing key ${kid} was encrypted under. ` +
        'Append the former master key to MASTER_KEYS; a lost one cannot be replaced, and its signing keys must be deleted.',
    );
  try {
    const der = unseal(masterKey, kid, sealedKey);
    return { der, key: makeSigningKey(kid, alg, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })) };
  } catch (cause) {
    const message = `Signing key ${kid} is damaged in the database: restore its row from a backup, or delete it.`;
    throw new KeysUnreadable(message, { cause });
  }
}

export function makeKeyring({ db, masterKeys, alg }: KeyringDeps): Keyring {
  const [masterKey] = masterKeys;
  let signer: SigningKey | undefined;
  let since: Date | undefined;
  let keys = new Map<string, SigningKey>();

  const create = async () => {
    const { kid, privateKey } = await generateSigningKey(alg);
    const { publicJwk } = makeSigningKey(kid, alg, privateKey);
    const der = privateKey.export({ format: 'der', type: 'pkcs8' });
    return { kid, alg, publicJwk, masterKeyId: masterKey.id, sealedKey: seal(masterKey, kid, der) };
  };

  /** Opens a key, and moves it under the first master key, so that a former one can be dropped. */
  const adopt = async (sealed: SealedSigningKey): Promise<SigningKey> => {
    const { der, key } = open(sealed, masterKeys);
    if (sealed.masterKeyId !== masterKey.id)
      await replaceSeal(db, sealed, seal(masterKey, sealed.kid, der), masterKey.id);
    return key;
  };

  const loaded = (): SigningKey => {
    if (!signer) throw new NotReady('no signing key yet');
    return signer;
  };

  return {
    active: loaded,
    activeSince: () => since,
    find: (kid) => keys.get(kid),
    published() {
      loaded();
      return Array.from(keys.values(), ({ publicJwk }) => publicJwk);
    },
    isLoaded: () => signer !== undefined,
    async load() {
      const { active, published } = await ensureActiveKey(db, alg, create);
      const opened = await Promise.all(published.map(adopt));
      keys = new Map(opened.map((key) => [key.kid, key]));
      signer = keys.get(active.kid);
      since = active.activatedAt ?? undefined;
    },
  };
}
