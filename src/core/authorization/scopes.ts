import { z } from 'zod';

/** The scopes of this service. Deployments add their own for the services behind it. */
export const ownScopes = {
  profile: 'Read and change your own account',
  sessions: 'See and end your own sessions',
  'api-keys': 'Manage your own API keys',
  'users:read': 'See every account',
  'users:write': 'Change and delete accounts',
  'roles:write': 'Define and grant roles',
  'audit:read': 'Read the audit trail',
  'keys:write': 'Rotate and revoke signing keys',
  'tokens:introspect': 'Ask whether a token is live',
} as const;

/** Given only where they are asked for by name, so that no token is an administrator's by accident. */
const elevated: ReadonlySet<string> = new Set(
  Object.keys(ownScopes).filter((scope) => scope !== 'profile' && scope !== 'sessions'),
);

/** Gives power over other accounts or over the service itself. */
export const isAdministrative = (scope: string): boolean => elevated.has(scope) && scope !== 'api-keys';

/** One scope token (RFC 6749 section 3.3). */
export const ScopeName = z
  .string()
  .max(100, { error: 'must have at most 100 characters' })
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'must be a scope name: ASCII without spaces, quotes and backslashes' })
  .meta({ examples: ['profile'] });

/** Of a role, as it stands in tokens. */
export const RoleName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, { error: 'must be a role name: a-z, 0-9, _ and -, a letter first, at most 63' })
  .meta({ examples: ['editor'] });

/** RFC 6749 section 3.3: scope tokens parted by single spaces. */
export const ScopeRequest = z
  .string()
  .max(1000)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/, {
    error: 'must be scope names, separated by single spaces',
  });

/**
 * The scopes of a token: what the user's roles give, narrowed by what was asked for, never widened. Where nothing was
 * asked for (null), all but the elevated ones. Sorted, without repeats.
 */
export function grantScopes(held: readonly string[], asked: string | null): string[] {
  const wanted = asked === null ? undefined : new Set(asked.split(' '));
  return held.filter((scope) => (wanted ? wanted.has(scope) : !elevated.has(scope)));
}
