import type { Principal } from './principal.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { findAdministrator } from './administrator.store.ts';
import { joinGrants } from './fragments.sql.ts';
import { requireNotMightier } from './authority.ts';

/**
 * After a caller has ended what may be another user's, in the same transaction: those who may do more keep what is theirs.
 * @throws InsufficientScope, which undoes it
 */
export async function requireOwnOrWeaker(
  tx: Transaction,
  principal: Principal,
  owner: UserId,
  scope: string,
): Promise<void> {
  if (owner === principal.userId) return;
  const administrator = await findAdministrator(tx, principal, [scope]);
  const [theirs] = await tx.$queryRaw<{ held: string[] }[]>`
    SELECT COALESCE(grants.scopes, '{}') AS held FROM users AS u ${joinGrants} WHERE u.id = ${owner}::uuid`;
  if (administrator && theirs) requireNotMightier(administrator, theirs.held);
}
