import type { Principal } from '../../core/authorization/principal.ts';
import { requireGrantable } from '../../core/authorization/rules.ts';
import { exceedsTokenBudget, requireTokenBudget, tokenBudgetError } from '../../core/authorization/token-budget.ts';
import { Conflict, NotFound } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { difference } from '../../lib/sets.ts';
import type { Transaction } from '../../platform/postgres.ts';
import type { ChangeRolesDeps } from './create-role.ts';
import { findLargestGrantsOf, lockRole, type RoleRow } from './roles.sql.ts';

export interface RoleChange {
  description?: string | undefined;
  scopes?: string[] | undefined;
}

/** @throws ValidationFailed, or Conflict if it is the other roles of a holder that leave too little room */
async function requireRoleFits(tx: Transaction, name: string): Promise<void> {
  await requireTokenBudget(tx, ['user', name], 'scopes');
  const largest = await findLargestGrantsOf(tx, name);
  if (largest && exceedsTokenBudget(largest))
    throw new Conflict(
      `A user has this role together with ${difference(largest.roles, [name]).join(', ')}. ${tokenBudgetError}`,
      'token budget',
    );
}

/**
 * Changes a role. Takes effect immediately in this service, and in access tokens at the holder's next refresh.
 * @throws InvalidAccessToken, InsufficientScope, ValidationFailed, NotFound, Conflict
 */
export const makeUpdateRole =
  ({ db, authorize, audit }: ChangeRolesDeps) =>
  (principal: Principal, name: string, change: RoleChange, request: RequestInfo): Promise<RoleRow> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['roles:write'], lockGrants: true });
      const role = await lockRole(tx, name);
      if (!role) throw new NotFound('role');
      if (role.builtIn) throw new Conflict('Built-in roles cannot be changed.', 'built-in role');
      const scopes = change.scopes ?? role.scopes;
      requireGrantable(admin, [...difference(scopes, role.scopes), ...difference(role.scopes, scopes)]);
      const { description = role.description } = change;
      const changed = await tx.role.update({ where: { name }, data: { description, scopes } });
      if (difference(scopes, role.scopes).length > 0) await requireRoleFits(tx, name);
      await audit.record(tx, request, { type: 'role.changed', actor: principal, role: name });
      return changed;
    });
