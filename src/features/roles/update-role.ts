import type { Principal } from '../../core/authorization/principal.ts';
import { requireGrantable } from '../../core/authorization/rules.ts';
import { Conflict, NotFound } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { difference } from '../../lib/sets.ts';
import type { ChangeRolesDeps } from './create-role.ts';
import { lockRole, type RoleRow } from './roles.sql.ts';

export interface RoleChange {
  description?: string | undefined;
  scopes?: string[] | undefined;
}

/**
 * Changes a role. Takes effect immediately in this service, and in access tokens at the holder's next refresh.
 * @throws InvalidAccessToken, InsufficientScope, NotFound, Conflict
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
      await audit.record(tx, request, { type: 'role.changed', actor: principal, role: name });
      return changed;
    });
