import { InsufficientScope } from '../errors.ts';
import type { UserId } from '../../lib/ids.ts';
import { type Database, type Transaction } from '../../platform/postgres.ts';
import type { Principal } from './principal.ts';
import { isPrincipal, joinGrants } from './fragments.sql.ts';

export const isCaller = isPrincipal;

/** Whether the caller's roles give a scope now: an access token may be older than a demotion. Undefined where they are dead. */
async function holdsNow(tx: Transaction, principal: Principal, scope: string): Promise<boolean | undefined> {
  const [row] = await tx.$queryRaw<{ holds: boolean }[]>`
    SELECT COALESCE(${scope} = ANY (grants.scopes), false) AS holds FROM users AS u ${joinGrants}
    WHERE ${isCaller(principal)}`;
  return row?.holds;
}

/** Whether the caller lives, and may do this by their roles of now. False where they are dead. @throws InsufficientScope */
export async function isCallerWith(tx: Transaction, principal: Principal, scope: string): Promise<boolean> {
  const holds = await holdsNow(tx, principal, scope);
  if (holds === false) throw new InsufficientScope(scope);
  return holds !== undefined;
}

/**
 * Whose things a caller may touch: their own, or, where they hold the administrators' `scope` now, anybody's (null).
 * Somebody else's thing is then not there, however it is asked for.
 */
export async function ownerFor(tx: Transaction, principal: Principal, scope: string): Promise<UserId | null> {
  const isAdministrator = principal.scopes.includes(scope) && (await holdsNow(tx, principal, scope));
  return isAdministrator ? null : principal.userId;
}

/**
 * Acts in one transaction for a caller who lives, with their own user's row locked: what races it comes before or after
 * as a whole. Whether they live is asked after the lock was had. Undefined where they are dead: nothing was done.
 */
export async function actAsCaller<Result>(
  db: Database,
  principal: Principal,
  act: (tx: Transaction) => Promise<Result>,
): Promise<Result | undefined> {
  return db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 AS locked FROM users WHERE id = ${principal.userId}::uuid FOR NO KEY UPDATE`;
    const live = await tx.$queryRaw<unknown[]>`
      SELECT 1 AS live FROM users AS u WHERE u.id = ${principal.userId}::uuid AND ${isCaller(principal)}`;
    return live.length === 1 ? act(tx) : undefined;
  });
}
