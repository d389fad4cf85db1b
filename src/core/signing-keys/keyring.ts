import { NotReady } from '../../lib/errors.ts';
import type { Logger } from '../../platform/log.ts';
import type { Database } from '../../platform/postgres.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import { rewrapKeys } from './rewrap.ts';
import { type KeyTimes, nextStep, signerOf, type Step } from './key-lifecycle.ts';
import { makeSealedKey, openKey } from './sealed-keys.ts';
import type { PublicJwk, SigningAlg, SigningKey } from './signing-key.ts';
import { readKeys, type SealedSigningKey, takeStep } from './signing-keys.store.ts';

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
  /** The algorithms of what is published; before the first load, the one that will be. */
  algs: () => SigningAlg[];
  isLoaded: () => boolean;
  /** At the start: puts the keys under the first master key, and tends them. @throws as `tend` */
  load(): Promise<void>;
  /**
   * Reads the keys from Postgres, and takes the steps that are due: makes, activates, retires, deletes. What was read
   * last holds, also where a step then fails. @throws KeysUnreadable, or the database's fault
   */
  tend: () => Promise<void>;
}

export interface KeyringDeps {
  db: Database;
  masterKeys: MasterKeys;
  alg: SigningAlg;
  times: KeyTimes;
  log: Logger;
}

/** More than any state needs, so that a fault of ours does not turn for ever. */
const maxSteps = 50;

export function makeKeyring({ db, masterKeys, alg, times, log }: KeyringDeps): Keyring {
  let signer: SigningKey | undefined;
  let since: Date | undefined;
  let keys = new Map<string, SigningKey>();
  let tending: Promise<void> | undefined;
  let waiting: Promise<void> | undefined;

  const loaded = (): SigningKey => {
    if (!signer) throw new NotReady('no signing key yet');
    return signer;
  };

  /** Opens what is new. Nothing is taken over before all of it is open. */
  const adopt = (rows: readonly SealedSigningKey[]) => {
    const opened = new Map(rows.map((row) => [row.kid, keys.get(row.kid) ?? openKey(row, masterKeys)]));
    const signing = signerOf(rows, alg);
    if (!signing) return;
    if (signer && signer.kid !== signing.kid) log.info({ kid: signing.kid }, 'another key signs from now on');
    keys = opened;
    signer = opened.get(signing.kid);
    since = signing.activatedAt ?? undefined;
  };

  const take = async (step: Step) => {
    const makesAlg = step.kind === 'make' || step.kind === 'activate' ? step.alg : undefined;
    const spare = makesAlg && (await makeSealedKey(makesAlg, masterKeys));
    const taken = await takeStep(db, alg, times, { step, spare });
    if (taken && step.kind !== 'claim') log.info({ ...step, made: spare?.kid }, 'signing keys have turned');
  };

  const tendNow = async () => {
    for (let steps = 0; steps < maxSteps; steps += 1) {
      const rows = await readKeys(db, alg, times);
      adopt(rows);
      const step = nextStep(rows, alg);
      if (!step) return;
      await take(step);
    }
    throw new Error('the signing keys do not come to rest');
  };

  /** One at a time, so that an older reading never replaces a newer one; who comes meanwhile shares the next. */
  const tend = (): Promise<void> => {
    const begin = () => {
      waiting = undefined;
      tending = tendNow().finally(() => (tending = undefined));
      return tending;
    };
    if (waiting) return waiting;
    if (!tending) return begin();
    return (waiting = tending.catch(() => {}).then(begin));
  };

  return {
    active: loaded,
    activeSince: () => since,
    find: (kid) => keys.get(kid),
    published() {
      loaded();
      return Array.from(keys.values(), ({ publicJwk }) => publicJwk);
    },
    algs: () => (signer ? [...new Set(Array.from(keys.values(), (key) => key.alg))] : [alg]),
    isLoaded: () => signer !== undefined,
    async load() {
      await rewrapKeys(db, masterKeys);
      await tend();
    },
    tend,
  };
}
