// The length of access tokens is bounded by the names that they contain (docs/decisions/0022-access-token-budget.md).
import { sortedUnique } from '../../lib/sets.ts';
import { ValidationFailed } from '../errors.ts';
import type { UserId } from '../../lib/ids.ts';
import type { Logger } from '../../platform/log.ts';
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
export const tokenBudgetError = `The role and scope names of an account can have at most ${maxGrantsLength} characters in total, because every access token contains them. Grant fewer roles or scopes.`;

/** The roles and scopes of an account that has these roles. */
export async function findGrantsOfRoles(tx: Transaction, roleNames: readonly string[]): Promise<TokenGrants> {
  const roles = await tx.role.findMany({ where: { name: { in: [...roleNames] } } });
  return { roles: roles.map(({ name }) => name), scopes: sortedUnique(roles.flatMap(({ scopes }) => scopes)) };
}

/** @throws ValidationFailed for the member at `path` if an account with exactly these roles would exceed the budget */
export async function requireTokenBudget(tx: Transaction, roleNames: readonly string[], path: string): Promise<void> {
  if (exceedsTokenBudget(await findGrantsOfRoles(tx, roleNames)))
    throw new ValidationFailed([{ path, message: tokenBudgetError }]);
}

/** As in `keyturn/verify`. Half of what this service accepts as the headers of a request. */
const maxTokenLength = 8192;
/** Header, dots and an RSA signature of 3072 bits. */
const maxLengthBesidesPayload = 640;
/** The payload without issuer, audience, roles and scopes. */
const maxOtherClaimsLength = 400;

/** The length that roles and scopes of one token can have, whatever the algorithm. */
const maxIssuedLength = (issuer: string, audience: readonly string[]): number =>
  Math.floor(((maxTokenLength - maxLengthBesidesPayload) * 3) / 4) -
  maxOtherClaimsLength -
  JSON.stringify([issuer, audience]).length;

export interface FitGrantsDeps {
  issuer: string;
  audience: readonly string[];
  log: Pick<Logger, 'warn'>;
}

/** Narrows the grants of an account that has had more since before the budget, so that its tokens are still accepted. */
export type FitGrants = (userId: UserId, grants: TokenGrants) => TokenGrants;

export function makeFitGrants({ issuer, audience, log }: FitGrantsDeps): FitGrants {
  const maxLength = maxIssuedLength(issuer, audience);
  return (userId, grants) => {
    if (grantsLength(grants) <= maxLength) return grants;
    const fitting = narrowGrants(grants, maxLength);
    const omitted = grants.scopes.length - fitting.scopes.length;
    log.warn({ userId, omitted }, 'an access token would be too long with every scope');
    return fitting;
  };
}

/** Keeps the scopes of this service first, then the others in their order, then the roles, which are informational. */
function narrowGrants(grants: TokenGrants, maxLength: number): TokenGrants {
  let left = maxLength;
  const takeFitting = (names: readonly string[], separatorLength: number) =>
    new Set(names.filter((name) => name.length + separatorLength <= left && (left -= name.length + separatorLength)));
  const isOwn = (scope: string) => Object.hasOwn(ownScopes, scope);
  const { roles, scopes } = grants;
  const kept = takeFitting([...scopes.filter(isOwn), ...scopes.filter((scope) => !isOwn(scope))], 1);
  const keptRoles = takeFitting(roles, 3);
  return { roles: roles.filter((role) => keptRoles.has(role)), scopes: scopes.filter((scope) => kept.has(scope)) };
}
