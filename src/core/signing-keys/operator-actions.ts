// The operations of administrators and of the command line. They need no master key: they mark keys, and the processes create the
// keys that are then missing.
import type { Transaction } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import type { Principal } from '../authorization/principal.ts';
import type { RequestSource } from '../request-info.ts';
import { KeyStatus } from './key-lifecycle.ts';
import { findNextKeys, lockSigningKeys, markRequested, markRevoked, notifyProcesses } from './signing-keys.sql.ts';
import { activate } from './take-step.ts';

/** The source of an operation, for its audit events. */
export type Operator =
  { source: 'system'; reason: 'cli' } | { source: RequestSource; reason: 'admin'; actor: Principal };

export const commandLine: Operator = { source: 'system', reason: 'cli' };

export const administrator = (actor: Principal, source: RequestSource): Operator => ({
  source,
  reason: 'admin',
  actor,
});

const recordOperation = (
  tx: Transaction,
  audit: Audit,
  { source, ...operator }: Operator,
  type: 'signing_key.asked' | 'signing_key.revoked',
  kid: string,
) => audit.record(tx, source, { type, kid, ...operator });

export type Rotation =
  /** The key becomes active at `readyAt`, or within seconds if it is ready. */
  | { kind: 'requested'; kid: string; isReady: boolean; readyAt: Date }
  /** The last rotation was less than a publication period ago, so no other one was requested. The next one is possible at `nextReadyAt`. */
  | { kind: 'just_rotated'; kid: string; activatedAt: Date; nextReadyAt: Date };

/** Requests that the next key of each algorithm becomes active as soon as it is ready. Returns nothing if no next key exists. */
export async function requestRotation(tx: Transaction, audit: Audit, operator: Operator): Promise<Rotation[]> {
  await lockSigningKeys(tx);
  const rotations: Rotation[] = [];
  for (const { kid, activeKid, activatedAt, isReady, readyAt, wasJustRotated } of await findNextKeys(tx)) {
    if (wasJustRotated && activeKid && activatedAt) {
      rotations.push({ kind: 'just_rotated', kid: activeKid, activatedAt, nextReadyAt: readyAt });
      continue;
    }
    if ((await markRequested(tx, kid)) > 0) await recordOperation(tx, audit, operator, 'signing_key.asked', kid);
    rotations.push({ kind: 'requested', kid, isReady, readyAt });
  }
  await notifyProcesses(tx);
  return rotations;
}

export type Revocation =
  | { kind: 'not_found' }
  | { kind: 'already_revoked'; revokedAt: Date }
  /** `activated` signs from now on; undefined if the key was not active, or no next key existed. */
  | { kind: 'revoked'; previousStatus: KeyStatus; activated: string | undefined };

/** Revokes a key permanently. If it was active, the next key becomes active, even if it is not ready. */
export async function revokeKey(tx: Transaction, audit: Audit, kid: string, operator: Operator): Promise<Revocation> {
  await lockSigningKeys(tx);
  const key = await tx.signingKey.findUnique({ where: { kid } });
  if (!key) return { kind: 'not_found' };
  if (key.revokedAt) return { kind: 'already_revoked', revokedAt: key.revokedAt };
  await markRevoked(tx, kid);
  await recordOperation(tx, audit, operator, 'signing_key.revoked', kid);
  const previousStatus = KeyStatus.parse(key.status);
  const activated =
    previousStatus === 'active' ? await activate(tx, audit, { alg: key.alg, reason: 'revoked' }) : undefined;
  await notifyProcesses(tx);
  return { kind: 'revoked', previousStatus, activated };
}

export interface ListedKey {
  kid: string;
  alg: string;
  status: KeyStatus;
  /** Time of the last change of status. */
  since: Date;
  masterKeyId: string;
}

/** Lists all keys: active, next, retired, revoked, each newest first. */
export async function listKeys(tx: Transaction): Promise<ListedKey[]> {
  const rows = await tx.signingKey.findMany({ orderBy: { kid: 'asc' } });
  const keys = rows.map(({ kid, alg, status, masterKeyId, createdAt, activatedAt, retiredAt, revokedAt }) => ({
    kid,
    alg,
    status: KeyStatus.parse(status),
    since: revokedAt ?? retiredAt ?? activatedAt ?? createdAt,
    masterKeyId,
  }));
  const rank = ({ status }: ListedKey) => KeyStatus.options.indexOf(status);
  return keys.toSorted((a, b) => rank(a) - rank(b) || b.since.getTime() - a.since.getTime());
}
