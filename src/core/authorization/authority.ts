import { InsufficientScope } from '../errors.ts';
import type { Administrator } from './administrator.store.ts';
import { adminRole } from './rules.ts';
import { isAdministrative } from './scopes.ts';

/**
 * Nobody gives away, or takes away, more than they have: who holds the role `admin` disposes of every scope, a deployment's
 * too; others of those that their own roles give now; and an API key of none but its own.
 * @throws InsufficientScope
 */
export function requireAuthority({ roles, held, scopes, apiKeyId }: Administrator, over: readonly string[]): void {
  const isKey = apiKeyId !== undefined;
  if (roles.includes(adminRole) && !isKey) return;
  const beyond = over.filter((scope) => !held.includes(scope) || (isKey && !scopes.includes(scope)));
  // The reason goes into the audit trail, where no words of a caller's belong.
  if (beyond.length > 0) throw new InsufficientScope([...new Set(beyond)].join(' '), 'more than they may give');
}

/** Who administers accounts does not touch those of others who may do more. @throws InsufficientScope */
export const requireNotMightier = (administrator: Administrator, theirs: readonly string[]): void =>
  requireAuthority(administrator, theirs.filter(isAdministrative));
