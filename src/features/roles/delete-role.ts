import type { Principal } from '../../core/authorization/principal.ts';
import { requireGrantable } from '../../core/authorization/rules.ts';
import { Conflict, NotFound } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { ChangeRolesDeps } from './create-role.ts';
import { lockRole } from './roles.sql.ts';

/** Deletes a role that no user has. @throws InvalidAccessToken, InsufficientScope, NotFound, Conflict */
export const makeDeleteRole =
  ({ db, authorize, audit }: ChangeRolesDeps) =>
  (principal: Principal, name: string, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['roles:write'], lockGrants: true });
      const role = await lockRole(tx, name);
      if (!role) throw new NotFound('role');
      if (role.builtIn) throw new Conflict('Built-in roles cannot be deleted.', 'built-in role');
      requireGrantable(admin, role.scopes);
      if (await tx.userRole.findFirst({ where: { role: name } }))
        throw new Conflict('The role cannot be deleted while users have it.', 'role in use');
      await tx.role.delete({ where: { name } });
      await audit.record(tx, request, { type: 'role.deleted', actor: principal, role: name });
    });
