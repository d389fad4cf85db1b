// What an operator does to the keys. None of it needs a master key: the processes make what is then missing.
import type { Database, Transaction } from '../../platform/postgres.ts';
import { type KeyActor, recordKeyEvent } from '../audit/audit.store.ts';
import { activateNext, lockKeys, tellAll } from './signing-keys.store.ts';

export type RotationAnswer =
  | { kind: 'asked'; kid: string; ready: boolean; readyAt: Date }
  /** Who asks while the last rotation is still young asks for that one. */
  | { kind: 'done'; kid: string; activatedAt: Date; readyAt: Date };

/** By `npm run cli`, where nobody is known. */
const cli: KeyActor = { reason: 'cli' };

export const askForRotation = (db: Database): Promise<RotationAnswer[]> =>
  db.$transaction((tx) => askForRotationIn(tx, cli));

/** Asks every algorithm's `next` to sign as soon as it is ready, which the processes then see to. */
export async function askForRotationIn(tx: Transaction, by: KeyActor): Promise<RotationAnswer[]> {
  await tx.$queryRaw(lockKeys);
  const answers = await tx.$queryRaw<
    { kid: string; active: string | null; activatedAt: Date; ready: boolean; readyAt: Date; young: boolean }[]
  >`
    SELECT n.kid, a.kid AS active, a.activated_at AS "activatedAt", n.ready_at <= now AS ready, n.ready_at AS "readyAt",
           coalesce(a.activated_at > a.created_at AND n.ready_at > now
             AND a.activated_at + (n.ready_at - n.created_at) > now, false) AS young
    FROM clock_timestamp() AS now, signing_keys AS n
    LEFT JOIN signing_keys AS a ON a.alg = n.alg AND a.status = 'active'
    WHERE n.status = 'next' ORDER BY n.created_at DESC`;
  for (const { kid, young } of answers) {
    if (young) continue;
    const asked = await tx.$executeRaw`
      UPDATE signing_keys SET asked_at = clock_timestamp() WHERE kid = ${kid} AND asked_at IS NULL`;
    if (asked > 0) await recordKeyEvent(tx, 'signing_key.asked', kid, by);
  }
  await tx.$queryRaw(tellAll);
  return answers.map(({ kid, active, activatedAt, ready, readyAt, young }) =>
    young ? { kind: 'done', kid: active ?? '', activatedAt, readyAt } : { kind: 'asked', kid, ready, readyAt },
  );
}

export type Revocation =
  | { kind: 'unknown' }
  | { kind: 'already'; revokedAt: Date }
  /** `successor` signs now; undefined where another key than the active one was revoked, or none is left. */
  | { kind: 'revoked'; was: string; successor: string | undefined };

export const revokeKey = (db: Database, kid: string): Promise<Revocation> =>
  db.$transaction((tx) => revokeKeyIn(tx, kid, cli));

/** Destroys a key, and lets `next` take over where it was the active one, ready or not. */
export async function revokeKeyIn(tx: Transaction, kid: string, by: KeyActor): Promise<Revocation> {
  await tx.$queryRaw(lockKeys);
  const [key] = await tx.$queryRaw<{ alg: string; status: string; revokedAt: Date | null }[]>`
    SELECT alg, status, revoked_at AS "revokedAt" FROM signing_keys WHERE kid = ${kid}`;
  if (!key) return { kind: 'unknown' };
  const { alg, status: was, revokedAt } = key;
  if (revokedAt) return { kind: 'already', revokedAt };
  await tx.$executeRaw`
    UPDATE signing_keys SET status = 'revoked', revoked_at = clock_timestamp(), sealed_key = '' WHERE kid = ${kid}`;
  await recordKeyEvent(tx, 'signing_key.revoked', kid, by);
  const successor = was === 'active' ? await activateNext(tx, alg, 'revoked') : undefined;
  await tx.$queryRaw(tellAll);
  return { kind: 'revoked', was, successor };
}

export interface ListedKey {
  kid: string;
  alg: string;
  status: string;
  since: Date;
  masterKeyId: string;
}

/** For people: what signs stands first, what is gone last. */
export const listKeys = (db: Transaction): Promise<ListedKey[]> => db.$queryRaw`
  SELECT kid, alg, status, coalesce(revoked_at, retired_at, activated_at, created_at) AS since,
         master_key_id AS "masterKeyId"
  FROM signing_keys ORDER BY array_position(ARRAY['active', 'next', 'retired', 'revoked'], status), since DESC, kid`;
