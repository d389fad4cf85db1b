import { NotReady } from '../../lib/errors.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import type { Logger } from '../../platform/log.ts';
import type { Database } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import { nextStep, selectSigner, type Step } from './key-lifecycle.ts';
import type { KeyTiming } from './key-timing.ts';
import { rewrapKeys } from './rewrap-keys.ts';
import { generateSealedKey, openKey } from './sealed-keys.ts';
import type { PublicJwk, SigningAlg, SigningKey } from './signing-key.ts';
import { readKeyStates, type SealedKeyState } from './signing-keys.sql.ts';
import { takeStep } from './take-step.ts';

/** The signing keys of this process, in memory, so that signing, verification and the JWKS work while the database is down. */
export interface Keyring {
  /** The key that signs. @throws NotReady before the first load */
  active(): SigningKey;
  /** When the active key began to sign; undefined before the first load. */
  activeSince(): Date | undefined;
  /** Finds a published key by its `kid`. */
  find(kid: string): SigningKey | undefined;
  /** The public keys of the JWKS. @throws NotReady before the first load */
  published: () => PublicJwk[];
  /** The algorithms of the published keys; before the first load, the configured one. */
  algs: () => SigningAlg[];
  /** Whether `load` has finished, so that the JWKS also contains the next key. */
  isLoaded: () => boolean;
  /** Prepares a process that starts: rewraps the keys and maintains them. @throws like `maintain` */
  load(): Promise<void>;
  /**
   * Reads the keys from Postgres and takes every step that is due. Keeps the keys that it has read if a step fails.
   * @throws KeysUnreadable, DatabaseUnavailable
   */
  maintain: () => Promise<void>;
}

export interface KeyringDeps {
  db: Database;
  audit: Audit;
  masterKeys: MasterKeys;
  alg: SigningAlg;
  timing: KeyTiming;
  log: Logger;
}

/** More than any state requires, so that a bug cannot loop forever. */
const maxSteps = 50;

export function makeKeyring({ db, audit, masterKeys, alg, timing, log }: KeyringDeps): Keyring {
  let signer: SigningKey | undefined;
  let since: Date | undefined;
  let keys = new Map<string, SigningKey>();
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let isLoaded = false;

  const requireSigner = (): SigningKey => {
    if (!signer) throw new NotReady('no signing key yet');
    return signer;
  };

  /** Decrypts all new keys before it replaces any. */
  const adopt = (states: readonly SealedKeyState[]) => {
    const opened = new Map(states.map((state) => [state.kid, keys.get(state.kid) ?? openKey(state, masterKeys)]));
    const selected = selectSigner(states, alg);
    if (!selected) return;
    if (signer && signer.kid !== selected.kid) log.info({ kid: selected.kid }, 'signing with a different key');
    keys = opened;
    signer = opened.get(selected.kid);
    since = selected.activatedAt ?? undefined;
  };

  const take = async (step: Step) => {
    const creates = step.kind === 'create' || step.kind === 'activate';
    const newKey = creates ? await generateSealedKey(step.alg, masterKeys) : undefined;
    const taken = await takeStep({ db, audit, alg, timing }, step, newKey);
    if (taken && step.kind !== 'store_requirements')
      log.info({ ...step, created: newKey?.kid }, 'changed the signing keys');
  };

  const maintainNow = async () => {
    for (let steps = 0; steps < maxSteps; steps += 1) {
      const states = await readKeyStates(db, alg, timing);
      adopt(states);
      const step = nextStep(states, alg);
      if (!step) return;
      await take(step);
    }
    throw new Error(`the signing keys still change after ${maxSteps} steps`);
  };

  /** Runs once at a time, so that an older snapshot never replaces a newer one. Calls during a run share the next run. */
  const maintain = (): Promise<void> => {
    const begin = () => {
      queued = undefined;
      running = maintainNow().finally(() => (running = undefined));
      return running;
    };
    if (queued) return queued;
    if (!running) return begin();
    return (queued = running.catch(() => {}).then(begin));
  };

  return {
    active: requireSigner,
    activeSince: () => since,
    find: (kid) => keys.get(kid),
    published() {
      requireSigner();
      return Array.from(keys.values(), ({ publicJwk }) => publicJwk);
    },
    algs: () => (signer ? [...new Set(Array.from(keys.values(), (key) => key.alg))] : [alg]),
    isLoaded: () => isLoaded,
    async load() {
      await rewrapKeys(db, audit, masterKeys);
      await maintain();
      isLoaded = true;
    },
    maintain,
  };
}
