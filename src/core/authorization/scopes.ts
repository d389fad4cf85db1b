import { z } from 'zod';

/** The scopes of this service. Deployments add their own for the services behind it. */
export const ownScopes = {
  profile: 'Read and change your account',
  sessions: 'List and revoke your sessions',
  'api-keys': 'Manage your API keys',
  'users:read': 'Read all accounts',
  'users:write': 'Change and delete accounts',
  'roles:write': 'Define and grant roles',
  'audit:read': 'Read the audit trail',
  'keys:write': 'Rotate and revoke signing keys',
  'tokens:introspect': 'Introspect tokens',
} as const;

/** Scopes that a login receives only if it requests them by name, so that an ordinary login of an administrator stays harmless. */
const elevated: ReadonlySet<string> = new Set(
  Object.keys(ownScopes).filter((scope) => scope !== 'profile' && scope !== 'sessions'),
);

/** Whether a scope gives access to other accounts or to the service itself. */
export const isAdministrative = (scope: string): boolean => elevated.has(scope) && scope !== 'api-keys';

/** One scope token (RFC 6749 section 3.3). */
export const ScopeName = z
  .string()
  .max(100, { error: 'must have at most 100 characters' })
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'must be a scope name: ASCII without spaces, quotes and backslashes' })
  .meta({ examples: ['profile'] });

export const RoleName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, {
    error: 'must be a role name: a-z, 0-9, _ and -, starting with a letter, at most 63 characters',
  })
  .meta({ examples: ['editor'] });

/** Scope tokens separated by single spaces (RFC 6749 section 3.3). */
export const ScopeRequest = z
  .string()
  .max(1000)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/, {
    error: 'must be scope names, separated by single spaces',
  });

/** Narrows the held scopes to the requested ones. Null means no request: all held scopes that are not elevated. */
export function grantScopes(held: readonly string[], requested: string | null): string[] {
  const wanted = requested === null ? undefined : new Set(requested.split(' '));
  return held.filter((scope) => (wanted ? wanted.has(scope) : !elevated.has(scope)));
}
