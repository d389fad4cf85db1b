import type { Audit } from '../../core/audit/audit.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { requireGrantable } from '../../core/authorization/rules.ts';
import { requireTokenBudget } from '../../core/authorization/token-budget.ts';
import { Conflict } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { Database } from '../../platform/postgres.ts';
import type { RoleRow } from './roles.sql.ts';

export interface ChangeRolesDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
}

export interface NewRole {
  name: string;
  description: string;
  scopes: string[];
}

/** Creates a role. @throws InvalidAccessToken, InsufficientScope, ValidationFailed, Conflict */
export const makeCreateRole =
  ({ db, authorize, audit }: ChangeRolesDeps) =>
  (principal: Principal, role: NewRole, request: RequestInfo): Promise<RoleRow> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['roles:write'], lockGrants: true });
      requireGrantable(admin, role.scopes);
      if (await tx.role.findUnique({ where: { name: role.name } }))
        throw new Conflict('A role with this name already exists.', 'role exists');
      const created = await tx.role.create({ data: role });
      // Every account also needs the role `user`.
      await requireTokenBudget(tx, ['user', role.name], 'scopes');
      await audit.record(tx, request, { type: 'role.created', actor: principal, role: role.name });
      return created;
    });
