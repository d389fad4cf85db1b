// The life cycle of a signing key (docs/decisions/0009-automatic-signing-key-rotation.md):
//
//     create ──> next ──activate──> active ──retire──> retired ──delete
//                  └──────────────────┴──────────────────┴──revoke──> revoked
//
//     next      is published, so that verifiers cache it before it signs
//     active    is published and signs
//     retired   is published until every token that it signed has expired
//     revoked   is never published again; its private half is destroyed
//
// Each algorithm has at most one `next` and one `active` key. The first key of a deployment is created `active`, because no verifier
// has cached an older key set. Operators revoke keys and request rotations; everything else follows from the rules below.
import { z } from 'zod';
import type { SigningAlg } from './signing-key.ts';

export const KeyStatus = z.enum(['active', 'next', 'retired', 'revoked']);
export type KeyStatus = z.infer<typeof KeyStatus>;

/** A key that is not revoked. The database's clock decides each condition. */
export interface KeyState {
  kid: string;
  alg: SigningAlg;
  status: Exclude<KeyStatus, 'revoked'>;
  /** Of a `next` key: every verifier has it, so it may sign. */
  isReady: boolean;
  /** Of a `next` key: an operator wants it to sign. */
  isRequested: boolean;
  /** Of an `active` key: it has signed for SIGNING_KEY_ROTATION. */
  isDue: boolean;
  /** Of a `next` or `active` key: no process with this JWT_ALG has run for a while. */
  isUnused: boolean;
  /** Of a `next` or `active` key: its row does not contain the requirements of this process yet. */
  lacksRequirements: boolean;
  /** Of a `retired` key: every token that it signed has expired. */
  isExpired: boolean;
}

/** A transition. The reasons are stored in audit events. */
export type Step =
  /** Stores the requirements of this process (JWT_ALG, ACCESS_TTL, JWKS_MAX_AGE) in the rows of the keys. */
  | { kind: 'store_requirements' }
  | { kind: 'create'; alg: SigningAlg; status: 'next' | 'active' }
  /** Retires the active key of the algorithm, activates the next key and creates another `next` key. */
  | { kind: 'activate'; kid: string; alg: SigningAlg; reason: 'asked' | 'aged' | 'only' | 'alg_changed' }
  | { kind: 'retire'; kid: string; alg: SigningAlg; reason: 'unwanted' }
  | { kind: 'delete'; kid: string; reason: 'unwanted' | 'spent' };

interface RuleInput {
  keys: readonly KeyState[];
  /** The algorithm of this process, and its keys. */
  alg: SigningAlg;
  active: KeyState | undefined;
  next: KeyState | undefined;
}

type Rule = (input: RuleInput) => Step | undefined;

/** Before any other step, so that no process activates or deletes a key too early for another process. */
const storeRequirements: Rule = ({ keys }) =>
  keys.some(({ lacksRequirements }) => lacksRequirements) ? { kind: 'store_requirements' } : undefined;

/** Without an active key no process can sign, so a next key becomes active even if some verifiers do not have it. */
const ensureActiveKey: Rule = ({ keys, alg, next }) => {
  if (keys.some(({ status }) => status === 'active')) return undefined;
  const candidate = next ?? keys.find(({ status }) => status === 'next');
  if (!candidate) return { kind: 'create', alg, status: 'active' };
  return { kind: 'activate', kid: candidate.kid, alg: candidate.alg, reason: 'only' };
};

const ensureNextKey: Rule = ({ alg, next }) => (next ? undefined : { kind: 'create', alg, status: 'next' });

/** Without an active key of this algorithm, JWT_ALG has changed. */
const activateNextKey: Rule = ({ alg, active, next }) => {
  if (!next?.isReady) return undefined;
  const reason = !active ? 'alg_changed' : next.isRequested ? 'asked' : active.isDue ? 'aged' : undefined;
  return reason && { kind: 'activate', kid: next.kid, alg, reason };
};

const deleteExpiredKey: Rule = ({ keys }) => {
  const expired = keys.find(({ status, isExpired }) => status === 'retired' && isExpired);
  return expired && { kind: 'delete', kid: expired.kid, reason: 'spent' };
};

/** After a change of JWT_ALG, once no process uses the old algorithm and the new one has an active key. */
const removeUnusedKey: Rule = ({ keys, alg, active }) => {
  const unused = keys.find((key) => key.alg !== alg && key.status !== 'retired' && key.isUnused);
  if (!active || !unused) return undefined;
  const { kid, status } = unused;
  if (status === 'active') return { kind: 'retire', kid, alg: unused.alg, reason: 'unwanted' };
  return { kind: 'delete', kid, reason: 'unwanted' };
};

const rules = [
  storeRequirements,
  ensureActiveKey,
  ensureNextKey,
  activateNextKey,
  deleteExpiredKey,
  removeUnusedKey,
] as const;

/** The step of the first rule that applies, for a process that signs with `alg`; undefined if none applies. */
export function nextStep(keys: readonly KeyState[], alg: SigningAlg): Step | undefined {
  const own = (status: KeyStatus) => keys.find((key) => key.status === status && key.alg === alg);
  const input = { keys, alg, active: own('active'), next: own('next') };
  for (const rule of rules) {
    const step = rule(input);
    if (step) return step;
  }
  return undefined;
}

/** The key that a process signs with: the active key of its algorithm or, until one exists, of the previous algorithm. */
export const selectSigner = <Key extends Pick<KeyState, 'alg' | 'status'>>(
  keys: readonly Key[],
  alg: SigningAlg,
): Key | undefined => {
  const active = keys.filter(({ status }) => status === 'active');
  return active.find((key) => key.alg === alg) ?? active[0];
};
