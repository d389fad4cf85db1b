import type { Caller } from '../../http/authenticate.ts';
import type { UserId } from '../../kernel/id.ts';
import type { Queryable } from '../../platform/postgres.ts';
import { findAdministrator } from '../sessions/administrator.store.ts';
import { joinGrants } from '../users/grants.store.ts';
import { requireNotMightier } from './authority.ts';

/**
 * After a caller has ended what may be another user's, in the same transaction: those who may do more keep what is theirs.
 * @throws InsufficientScope, which undoes it
 */
export async function requireOwnOrWeaker(tx: Queryable, caller: Caller, owner: UserId, scope: string): Promise<void> {
  if (owner === caller.userId) return;
  const administrator = await findAdministrator(tx, caller, [scope]);
  const [theirs] = await tx.$queryRaw<{ held: string[] }[]>`
    SELECT COALESCE(grants.scopes, '{}') AS held FROM users AS u ${joinGrants} WHERE u.id = ${owner}::uuid`;
  if (administrator && theirs) requireNotMightier(administrator, theirs.held);
}
