// The length of access tokens is bounded by the names that they contain (docs/decisions/0022-access-token-budget.md).
import { sortedUnique } from '../../lib/sets.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { ownScopes } from './scopes.ts';

/** The parts of an access token that administrators decide about. */
export interface TokenGrants {
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

/** The maximum length of the roles and scopes that can be granted to an account. Keeps an access token at about 4 KB. */
export const maxGrantsLength = 2000;

/** The length in the payload of a token. */
const grantsLength = ({ roles, scopes }: TokenGrants): number => JSON.stringify(roles).length + scopes.join(' ').length;

export const exceedsTokenBudget = (grants: TokenGrants): boolean => grantsLength(grants) > maxGrantsLength;

/** Says what is wrong and what to do, for administrators. */
export const tokenBudgetError = `must give an account role and scope names of at most ${maxGrantsLength} characters in total, because every access token contains them. Grant fewer or shorter scopes`;

/** The roles and scopes of an account that has these roles. */
export async function findGrantsOf(tx: Transaction, roleNames: readonly string[]): Promise<TokenGrants> {
  const roles = await tx.role.findMany({ where: { name: { in: [...roleNames] } } });
  return { roles: roles.map(({ name }) => name), scopes: sortedUnique(roles.flatMap(({ scopes }) => scopes)) };
}

/**
 * Narrows the grants of an account that has had more since before the budget, so that its tokens are still accepted: the scopes of
 * this service first, then the others in their order, then the roles, which are informational.
 */
export function fitGrants(grants: TokenGrants, maxLength: number): TokenGrants {
  if (grantsLength(grants) <= maxLength) return grants;
  let left = maxLength;
  const takeFitting = (names: readonly string[], separatorLength: number) =>
    new Set(names.filter((name) => name.length + separatorLength <= left && (left -= name.length + separatorLength)));
  const isOwn = (scope: string) => Object.hasOwn(ownScopes, scope);
  const { roles, scopes } = grants;
  const kept = takeFitting([...scopes.filter(isOwn), ...scopes.filter((scope) => !isOwn(scope))], 1);
  const keptRoles = takeFitting(roles, 3);
  return { roles: roles.filter((role) => keptRoles.has(role)), scopes: scopes.filter((scope) => kept.has(scope)) };
}
