import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { NotFound } from '../errors.ts';
import { findGrants, findGrantsOf, lockGrants, lockUsers } from './authorization.sql.ts';
import type { Principal } from './principal.ts';
import {
  adminRole,
  type AuthorizedPrincipal,
  requireLive,
  requireNotOutranked,
  requireRecentLogin,
  requireScopes,
} from './rules.ts';

export interface Requirement {
  /** Scopes of the access token that the user's roles must still give. */
  scopes?: readonly string[];
  /** The login must be more recent. */
  maxAuthAgeSeconds?: number;
}

export interface WriteRequirement extends Requirement {
  /** Another user whose account the transaction changes. */
  target?: UserId;
  /** Whether the transaction changes roles, their holders or the activity of users. */
  lockGrants?: boolean;
}

export interface Authorization {
  /**
   * Authorizes a write. Locks the principal's user and the target until the transaction ends, so that concurrent changes happen
   * entirely before or after. @throws InvalidAccessToken, InsufficientScope, InsufficientUserAuthentication
   */
  authorize: (tx: Transaction, principal: Principal, requirement?: WriteRequirement) => Promise<AuthorizedPrincipal>;
  /** Authorizes a read, without locks. @throws like `authorize` */
  authorizeRead: (tx: Transaction, principal: Principal, requirement?: Requirement) => Promise<AuthorizedPrincipal>;
}

export function makeAuthorization(): Authorization {
  const authorizeRead: Authorization['authorizeRead'] = async (tx, principal, requirement = {}) => {
    const { scopes = [], maxAuthAgeSeconds } = requirement;
    const authorized = { ...principal, ...requireLive(await findGrants(tx, principal)) };
    requireScopes(authorized, scopes);
    if (maxAuthAgeSeconds !== undefined) requireRecentLogin(authorized, maxAuthAgeSeconds);
    return authorized;
  };
  return {
    authorizeRead,
    async authorize(tx, principal, requirement = {}) {
      const { userId } = principal;
      await lockUsers(tx, requirement.target ? [userId, requirement.target] : [userId]);
      if (requirement.lockGrants) await lockGrants(tx);
      return authorizeRead(tx, principal, requirement);
    },
  };
}

/**
 * Allows users to change their own resources, and principals with `adminScope` those of other users who hold no more
 * administrative scopes. For all others, resources of other users appear not to exist. @throws NotFound, InsufficientScope
 */
export async function requireOwnerOrAdmin(
  tx: Transaction,
  authorized: AuthorizedPrincipal,
  resource: { kind: string; ownerId: UserId | undefined },
  adminScope: string,
): Promise<void> {
  const { kind, ownerId } = resource;
  if (ownerId === authorized.userId) return;
  const isAdmin = authorized.scopes.includes(adminScope) && authorized.heldScopes.includes(adminScope);
  const owner = isAdmin && ownerId ? await findGrantsOf(tx, ownerId) : undefined;
  if (!owner) throw new NotFound(kind);
  requireNotOutranked(authorized, owner);
}

/** Whether no other active user holds the role `admin`. Locks the grants until the transaction ends. */
export async function isLastActiveAdmin(tx: Transaction, userId: UserId): Promise<boolean> {
  const isAdmin = await tx.userRole.findUnique({ where: { userId_role: { userId, role: adminRole } } });
  if (!isAdmin) return false;
  await lockGrants(tx);
  const other = await tx.userRole.findFirst({
    where: { role: adminRole, userId: { not: userId }, user: { isActive: true } },
  });
  if (other) return false;
  return (await tx.user.findUnique({ where: { id: userId }, select: { isActive: true } }))?.isActive === true;
}
