import { difference, sortedUnique } from '../../lib/sets.ts';
import { AdminRoleRequired, InsufficientScope, InsufficientUserAuthentication, InvalidAccessToken } from '../errors.ts';
import type { CurrentGrants, Grants } from './authorization.sql.ts';
import type { Principal } from './principal.ts';
import { isAdministrative } from './scopes.ts';

/** The built-in role that can grant every scope. The service keeps at least one active holder. */
export const adminRole = 'admin';

/** A live principal with the roles and scopes that its user holds now, whatever the access token says. */
export interface AuthorizedPrincipal extends Principal, CurrentGrants {}

/** @throws InsufficientScope if the access token lacks one of the scopes */
export function requireTokenScopes({ scopes }: Principal, required: readonly string[]): void {
  const missing = difference(required, scopes);
  if (missing.length > 0) throw new InsufficientScope(missing.join(' '));
}

/**
 * A new API key can have only scopes of the access token. @throws InsufficientScope, whose reason goes to the audit trail, which
 * must not contain text from clients
 */
export function requireDelegable({ scopes }: Principal, requested: readonly string[]): void {
  const beyond = difference(requested, scopes);
  if (beyond.length > 0) throw new InsufficientScope(beyond.join(' '), 'wider than the token');
}

/** @throws InsufficientScope if the access token or the user's current roles lack one of the scopes */
export function requireScopes({ scopes, heldScopes }: AuthorizedPrincipal, required: readonly string[]): void {
  const missing = required.filter((scope) => !heldScopes.includes(scope) || !scopes.includes(scope));
  if (missing.length > 0) throw new InsufficientScope(missing.join(' '));
}

/**
 * Principals can grant and withdraw only scopes that they hold. Administrators can grant every scope, also those of deployments;
 * API keys only their own scopes. @throws InsufficientScope
 */
export function requireGrantable(authorized: AuthorizedPrincipal, scopes: readonly string[]): void {
  const isApiKey = authorized.apiKeyId !== undefined;
  if (authorized.roles.includes(adminRole) && !isApiKey) return;
  const beyond = scopes.filter(
    (scope) => !authorized.heldScopes.includes(scope) || (isApiKey && !authorized.scopes.includes(scope)),
  );
  // The reason goes to the audit trail, which must not contain text from clients.
  if (beyond.length > 0) throw new InsufficientScope(sortedUnique(beyond).join(' '), 'exceeds own scopes');
}

/**
 * Only a logged-in holder of the role `admin` qualifies. Its scopes are not enough, or every holder of a role with the same scopes
 * could become an administrator. API keys never qualify, because a leaked one must not create administrators.
 * @throws InsufficientScope
 */
export function requireAdminRole({ roles, apiKeyId }: AuthorizedPrincipal): void {
  if (!roles.includes(adminRole) || apiKeyId !== undefined) throw new AdminRoleRequired();
}

/**
 * Accounts with administrative scopes can be changed only by principals who hold the same scopes, and administrators only by other
 * administrators. @throws InsufficientScope
 */
export function requireNotOutranked(authorized: AuthorizedPrincipal, target: Grants): void {
  requireGrantable(authorized, target.heldScopes.filter(isAdministrative));
  if (target.roles.includes(adminRole)) requireAdminRole(authorized);
}

/**
 * The user logged in less than `maxAgeSeconds` ago, by the database's clock, which also wrote `auth_time`. API keys never qualify,
 * so no API key can create another.
 * @throws InsufficientUserAuthentication
 */
export function requireRecentLogin({ authTime, nowMs }: AuthorizedPrincipal, maxAgeSeconds: number): void {
  if (authTime === undefined) throw new InsufficientUserAuthentication('api key', maxAgeSeconds);
  if (Math.floor(nowMs / 1000) - authTime >= maxAgeSeconds)
    throw new InsufficientUserAuthentication('login too old', maxAgeSeconds);
}

/** A row of a live principal; undefined means that the session or API key has ended. @throws InvalidAccessToken */
export function requireLive<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new InvalidAccessToken('session ended');
  return row;
}
