import { type Database, type Transaction } from '../../platform/postgres.ts';
import { sql } from '../../platform/sql.ts';
import { recordKeyEvent } from '../audit/audit.store.ts';
import {
  claimEverySeconds,
  type KeyState,
  type KeyTimes,
  nextStep,
  type Step,
  unwantedAfterSeconds,
} from './key-lifecycle.ts';
import type { PublicJwk, SigningAlg } from './signing-key.ts';

/** Where a process hears that the keys have changed. */
export const keysChannel = 'keyturn_signing_keys';

/** A new key, as it goes into its row. */
export interface SealedKey {
  kid: string;
  alg: SigningAlg;
  /** For people who look into the table; what is published comes from the sealed key. */
  publicJwk: PublicJwk;
  sealedKey: Uint8Array;
  masterKeyId: string;
}

export interface SealedSigningKey extends Omit<SealedKey, 'publicJwk'>, KeyState {
  /** When it began to sign; null where it has not. */
  activatedAt: Date | null;
}

const seconds = (count: number | null) => sql`make_interval(secs => ${count}::float8)`;

/** Every key that verifiers may still meet, the newest first. */
export const readKeys = (db: Transaction, alg: SigningAlg, times: KeyTimes): Promise<SealedSigningKey[]> =>
  db.$queryRaw`
    SELECT kid, alg, status, sealed_key AS "sealedKey", master_key_id AS "masterKeyId", activated_at AS "activatedAt",
           ready_at <= now AS ready,
           asked_at IS NOT NULL AS asked,
           coalesce(activated_at + ${seconds(times.rotationSeconds)} <= now, false) AS aged,
           wanted_at + ${seconds(unwantedAfterSeconds)} <= now AS unwanted,
           status <> 'retired' AND (
             (alg = ${alg} AND wanted_at + ${seconds(claimEverySeconds)} <= now)
             OR access_ttl_seconds < ${times.accessTtlSeconds}::int
             OR (status = 'next' AND ready_at < created_at + ${seconds(times.publishSeconds)})) AS unclaimed,
           coalesce(retired_at + access_ttl_seconds * interval '1 second' + ${seconds(times.keepSeconds)} <= now, false)
             AS spent
    FROM signing_keys, clock_timestamp() AS now
    WHERE status <> 'revoked' ORDER BY created_at DESC, kid`;

/** Serializes whoever changes a key's status; the number is this lock's name. */
export const lockKeys = sql`SELECT 1 AS locked FROM pg_advisory_xact_lock(5418219031)`;

/** Tells every process, when and if this transaction commits. */
export const tellAll = sql`SELECT 1 AS told FROM pg_notify(${keysChannel}, '')`;

/**
 * Takes one step, unless another process was first. A step that needs a new key puts in `spare`. Whether it took it.
 */
export const takeStep = (
  db: Database,
  alg: SigningAlg,
  times: KeyTimes,
  { step, spare }: { step: Step; spare: SealedKey | undefined },
): Promise<boolean> =>
  db.$transaction(async (tx) => {
    await tx.$queryRaw(lockKeys);
    const current = nextStep(await readKeys(tx, alg, times), alg);
    if (JSON.stringify(current) !== JSON.stringify(step)) return false;
    await apply(tx, alg, times, { step, spare });
    if (step.kind !== 'claim') await tx.$queryRaw(tellAll);
    return true;
  });

async function apply(
  tx: Transaction,
  alg: SigningAlg,
  times: KeyTimes,
  { step, spare }: { step: Step; spare: SealedKey | undefined },
): Promise<void> {
  if (step.kind === 'claim') return claim(tx, alg, times);
  if (step.kind === 'make') return insertKey(tx, spare, step.status, times);
  if (step.kind === 'activate') {
    await retireActive(tx, step.alg, step.reason);
    await activateNext(tx, step.alg, step.reason);
    return insertKey(tx, spare, 'next', times);
  }
  if (step.kind === 'retire')
    await tx.$executeRaw`
      UPDATE signing_keys SET status = 'retired', retired_at = clock_timestamp() WHERE kid = ${step.kid}`;
  else await tx.$executeRaw`DELETE FROM signing_keys WHERE kid = ${step.kid}`;
  await recordKeyEvent(tx, step.kind === 'retire' ? 'signing_key.retired' : 'signing_key.deleted', step.kid, step);
}

/** Says what this process is and needs. What a process needs is never taken back: another one may need it still. */
async function claim(tx: Transaction, alg: SigningAlg, times: KeyTimes): Promise<void> {
  await tx.$executeRaw`
    UPDATE signing_keys SET
      wanted_at = CASE WHEN alg = ${alg} THEN clock_timestamp() ELSE wanted_at END,
      access_ttl_seconds = greatest(access_ttl_seconds, ${times.accessTtlSeconds}::int),
      ready_at = greatest(ready_at, created_at + ${seconds(times.publishSeconds)})
    WHERE status IN ('next', 'active')`;
}

async function insertKey(tx: Transaction, spare: SealedKey | undefined, status: 'next' | 'active', times: KeyTimes) {
  if (!spare) throw new Error('a step without its new key');
  const { kid, alg, publicJwk, sealedKey, masterKeyId } = spare;
  const activatedAt = status === 'active' ? sql`now` : sql`NULL`;
  const readyAt = status === 'active' ? sql`now` : sql`now + ${seconds(times.publishSeconds)}`;
  await tx.$executeRaw`
    INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id, created_at, activated_at, ready_at,
                              access_ttl_seconds)
    SELECT ${kid}, ${alg}, ${status}, ${JSON.stringify(publicJwk)}::jsonb, ${sealedKey}, ${masterKeyId}, now,
           ${activatedAt}, ${readyAt}, ${times.accessTtlSeconds}::int
    FROM clock_timestamp() AS now`;
  await recordKeyEvent(tx, 'signing_key.made', kid, { reason: status });
}

async function retireActive(tx: Transaction, alg: string, reason: string): Promise<void> {
  const retired = await tx.$queryRaw<{ kid: string }[]>`
    UPDATE signing_keys SET status = 'retired', retired_at = clock_timestamp()
    WHERE alg = ${alg} AND status = 'active' RETURNING kid`;
  for (const { kid } of retired) await recordKeyEvent(tx, 'signing_key.retired', kid, { reason });
}

/** The kid of the key that signs now; undefined where there was no `next`. */
export async function activateNext(tx: Transaction, alg: string, reason: string): Promise<string | undefined> {
  const [activated] = await tx.$queryRaw<{ kid: string }[]>`
    UPDATE signing_keys SET status = 'active', activated_at = clock_timestamp()
    WHERE alg = ${alg} AND status = 'next' RETURNING kid`;
  if (activated) await recordKeyEvent(tx, 'signing_key.activated', activated.kid, { reason });
  return activated?.kid;
}

/** What can be opened, whatever it is used for. */
export const readSealedKeys = (
  db: Transaction,
): Promise<Pick<SealedSigningKey, 'kid' | 'alg' | 'masterKeyId' | 'sealedKey'>[]> =>
  db.$queryRaw`
    SELECT kid, alg, master_key_id AS "masterKeyId", sealed_key AS "sealedKey"
    FROM signing_keys WHERE status <> 'revoked' ORDER BY created_at`;

/** Puts a key under another master key, unless another process has done so already. Whether it did. */
export const replaceSeal = (
  db: Database,
  key: Pick<SealedSigningKey, 'kid' | 'masterKeyId'>,
  sealed: Uint8Array,
  masterKeyId: string,
): Promise<boolean> =>
  db.$transaction(async (tx) => {
    const replaced = await tx.$executeRaw`
      UPDATE signing_keys SET sealed_key = ${sealed}, master_key_id = ${masterKeyId}
      WHERE kid = ${key.kid} AND master_key_id = ${key.masterKeyId} AND status <> 'revoked'`;
    if (replaced > 0) await recordKeyEvent(tx, 'signing_key.rewrapped', key.kid, { reason: masterKeyId });
    return replaced > 0;
  });
