import type { AuditEvent } from '../../core/audit/audit.ts';
import { isLastActiveAdmin } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import {
  adminRole,
  type AuthorizedPrincipal,
  requireAdminRole,
  requireGrantable,
} from '../../core/authorization/rules.ts';
import { requireTokenBudget } from '../../core/authorization/token-budget.ts';
import { NotFound, ValidationFailed } from '../../core/errors.ts';
import { invalidateTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.sql.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import type { UserId } from '../../lib/ids.ts';
import { difference } from '../../lib/sets.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { type ChangeUserDeps, authorizeTargetUser } from './target-user.ts';
import { findUser, type UserDetails } from './users.sql.ts';

export interface UserChange {
  isActive: boolean | undefined;
  displayName: string | undefined;
  emailVerified: boolean | undefined;
  /** Replaces all roles of the user. */
  roles: readonly string[] | undefined;
}

/** @throws ValidationFailed if a role does not exist, InsufficientScope if the administrator cannot grant its scopes */
async function requireGrantableRoles(tx: Transaction, admin: AuthorizedPrincipal, names: string[]): Promise<void> {
  const roles = await tx.role.findMany({ where: { name: { in: names } } });
  requireGrantable(
    admin,
    roles.flatMap(({ scopes }) => scopes),
  );
  if (names.includes(adminRole)) requireAdminRole(admin);
  if (roles.length < names.length) throw new ValidationFailed([{ path: 'roles', message: 'must be existing roles' }]);
}

/**
 * Changes, disables or enables a user, or replaces the user's roles. Disabling revokes the user's sessions and emailed links.
 * @throws InvalidAccessToken, InsufficientScope, NotFound, ValidationFailed, LastAdmin
 */
export const makeUpdateUser =
  ({ db, authorize, audit }: ChangeUserDeps) =>
  (principal: Principal, id: UserId, change: UserChange, request: RequestInfo): Promise<UserDetails> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, {
        scopes: change.roles ? ['users:write', 'roles:write'] : ['users:write'],
        target: id,
        lockGrants: change.roles !== undefined || change.isActive !== undefined,
      });
      const user = await authorizeTargetUser(tx, admin, id);
      const granted = difference(change.roles ?? user.roles, user.roles);
      const revoked = difference(user.roles, change.roles ?? user.roles);
      await requireGrantableRoles(tx, admin, [...granted, ...revoked]);
      if (granted.length > 0) await requireTokenBudget(tx, change.roles ?? [], 'roles');
      const losesAdmin = change.isActive === false || revoked.includes(adminRole);
      if (losesAdmin && (await isLastActiveAdmin(tx, id))) throw new LastAdmin();

      const { isActive = user.isActive, displayName = user.displayName, emailVerified = user.emailVerified } = change;
      const updatedAt = new Date(admin.nowMs);
      await tx.user.update({ where: { id }, data: { isActive, displayName, emailVerified, updatedAt } });
      await tx.userRole.deleteMany({ where: { userId: id, role: { in: revoked } } });
      await tx.userRole.createMany({ data: granted.map((role) => ({ userId: id, role })) });
      if (user.isActive && !isActive) {
        await revokeSessionsOf(tx, id, 'account_disabled');
        await invalidateTokens(tx, id);
      }

      for (const event of eventsOf(user, change, granted, revoked))
        await audit.record(tx, request, { ...event, actor: principal, userId: id });
      const updated = await findUser(tx, id);
      if (!updated) throw new NotFound('user');
      return updated;
    });

function eventsOf(
  user: UserDetails,
  { isActive, displayName, emailVerified }: UserChange,
  granted: string[],
  revoked: string[],
): Pick<AuditEvent, 'type' | 'role'>[] {
  const types: AuditEvent['type'][] = [];
  if (displayName !== undefined || emailVerified !== undefined) types.push('user.updated');
  if (isActive === true && !user.isActive) types.push('user.enabled');
  if (isActive === false && user.isActive) types.push('user.disabled');
  return [
    ...types.map((type) => ({ type })),
    ...granted.map((role) => ({ type: 'role.granted' as const, role })),
    ...revoked.map((role) => ({ type: 'role.revoked' as const, role })),
  ];
}
