import { isDeepStrictEqual } from 'node:util';
import type { Database, Transaction } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import { nextStep, type Step } from './key-lifecycle.ts';
import type { KeyTiming } from './key-timing.ts';
import type { NewSealedKey } from './sealed-keys.ts';
import type { SigningAlg } from './signing-key.ts';
import {
  activateNextKey,
  insertKey,
  lockSigningKeys,
  notifyProcesses,
  readKeyStates,
  retireActiveKey,
  storeRequirements,
} from './signing-keys.sql.ts';

export interface TakeStepDeps {
  db: Database;
  audit: Audit;
  alg: SigningAlg;
  timing: KeyTiming;
}

/** Takes a step if it is still the next one. Returns whether it did; another process may have been first. */
export const takeStep = (deps: TakeStepDeps, step: Step, newKey: NewSealedKey | undefined): Promise<boolean> =>
  deps.db.transaction(async (tx) => {
    await lockSigningKeys(tx);
    const current = nextStep(await readKeyStates(tx, deps.alg, deps.timing), deps.alg);
    if (!isDeepStrictEqual(current, step)) return false;
    await applyStep(tx, deps, step, newKey);
    if (step.kind !== 'store_requirements') await notifyProcesses(tx);
    return true;
  });

async function applyStep(
  tx: Transaction,
  { audit, alg, timing }: TakeStepDeps,
  step: Step,
  newKey: NewSealedKey | undefined,
): Promise<void> {
  const create = async (status: 'next' | 'active') => {
    if (!newKey) throw new Error(`the step ${step.kind} requires a new key`);
    if ((await insertKey(tx, newKey, status, timing)) !== 1) throw new Error(`another ${status} signing key exists`);
    await audit.record(tx, 'system', { type: 'signing_key.made', kid: newKey.kid, reason: status });
  };
  switch (step.kind) {
    case 'store_requirements':
      await storeRequirements(tx, alg, timing);
      return;
    case 'create':
      return create(step.status);
    case 'activate':
      await retire(tx, audit, step);
      await activate(tx, audit, step);
      return create('next');
    case 'retire':
      return retire(tx, audit, step);
    case 'delete':
      await tx.signingKey.delete({ where: { kid: step.kid } });
      return audit.record(tx, 'system', { type: 'signing_key.deleted', kid: step.kid, reason: step.reason });
  }
}

interface StatusChange {
  alg: string;
  reason: string;
}

/** Retires the active key of an algorithm, if one exists. */
async function retire(tx: Transaction, audit: Audit, { alg, reason }: StatusChange): Promise<void> {
  const retired = await retireActiveKey(tx, alg);
  if (retired) await audit.record(tx, 'system', { type: 'signing_key.retired', kid: retired.kid, reason });
}

/** Activates the next key of an algorithm and returns its kid; undefined if none exists. */
export async function activate(
  tx: Transaction,
  audit: Audit,
  { alg, reason }: StatusChange,
): Promise<string | undefined> {
  const activated = await activateNextKey(tx, alg);
  if (activated) await audit.record(tx, 'system', { type: 'signing_key.activated', kid: activated.kid, reason });
  return activated?.kid;
}
