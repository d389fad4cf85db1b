import type { ApiKeySubject, Principal } from '../../core/authorization/principal.ts';
import { findGrants } from '../../core/authorization/authorization.sql.ts';
import { InsufficientScope, InvalidAccessToken, ValidationFailed } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { LiveSession } from '../../core/sessions/live-session.sql.ts';
import type { Ratchet, RefreshToken } from '../../core/sessions/refresh-token.ts';
import type { ReadAccessToken } from '../../core/tokens/access-token.ts';
import { grantScopes } from '../../core/authorization/scopes.ts';
import { authenticate, type Authentication, type Credentials } from '../../http/authenticate.ts';
import type { Database } from '../../platform/postgres.ts';
import { isBasic } from './basic-auth.ts';
import type { AuthenticateClient, PresentedClient } from './clients.ts';
import { InvalidClient } from './oauth.errors.ts';
import { IntrospectedClaims, type Introspection } from './oauth.schemas.ts';
import { findApiKeyScopes } from './oauth.sql.ts';
import { readIfValid } from './revoke.ts';

export interface IntrospectDeps {
  db: Database;
  authenticateClient: AuthenticateClient;
  authentication: Authentication;
  ratchet: Pick<Ratchet, 'parse'>;
  readAccessToken: ReadAccessToken;
  /** Whether the email address of an API key's owner must be verified. */
  requiresVerifiedEmail: boolean;
  /** The session of a refresh token that `/refresh` would accept now. Changes nothing. */
  findRotatableSession: (token: RefreshToken) => Promise<RotatableSession | undefined>;
}

/** Undefined if the key, its owner or the token is no longer valid. */
async function findKeyScopes({ db, requiresVerifiedEmail }: IntrospectDeps, subject: ApiKeySubject) {
  const key = await findApiKeyScopes(db, subject);
  return requiresVerifiedEmail && !key?.emailVerified ? undefined : key?.scopes;
}

type RotatableSession = LiveSession & { expiresAt: number };

const inactive: Introspection = { active: false };

/**
 * Returns the current state of a token (RFC 7662): its scopes are those that the user, or the API key and its owner, still hold. An
 * access token without scopes is inactive, as are tokens for another audience.
 * @throws InvalidClient, InvalidAccessToken, InsufficientScope, ValidationFailed
 */
export const makeIntrospect = (deps: IntrospectDeps) => {
  const { db, ratchet, readAccessToken } = deps;
  return async (
    token: string,
    client: PresentedClient,
    credentials: Credentials,
    request: RequestInfo,
  ): Promise<Introspection> => {
    const { userId } = await authorizeIntrospection(deps, client, credentials, request);
    request.annotate({ userId });
    const refreshToken = ratchet.parse(token);
    if (refreshToken) return introspectRefreshToken(deps, refreshToken);
    const read = readIfValid(readAccessToken, token);
    if (!read) return inactive;
    const { subject, claims } = read;
    const held =
      subject.userId === undefined ? await findKeyScopes(deps, subject) : (await findGrants(db, subject))?.heldScopes;
    const scopes = subject.scopes.filter((scope) => held?.includes(scope));
    if (scopes.length === 0) return inactive;
    return { active: true, scope: scopes.join(' '), ...IntrospectedClaims.parse({ ...claims, token_type: 'Bearer' }) };
  };
};

async function introspectRefreshToken(deps: IntrospectDeps, token: RefreshToken): Promise<Introspection> {
  const session = await deps.findRotatableSession(token);
  if (!session) return inactive;
  const { userId: sub, clientId, heldScopes, requestedScope, expiresAt: exp } = session;
  const scope = grantScopes(heldScopes, requestedScope).join(' ');
  return { active: true, scope, client_id: clientId, sub, exp };
}

const introspectionScope = 'tokens:introspect';

/**
 * Requires an API key with the scope, by its secret or by its access token. RFC 7662 section 2.1: "To prevent token scanning
 * attacks, the endpoint MUST also require some form of authorization". Users' access tokens are not accepted.
 */
async function authorizeIntrospection(
  { authenticateClient, authentication }: IntrospectDeps,
  client: PresentedClient,
  credentials: Credentials,
  request: RequestInfo,
): Promise<Principal> {
  const { authorization, apiKey } = credentials;
  const asClient = client.id !== undefined || (authorization !== undefined && isBasic(authorization));
  const byToken = apiKey !== undefined || (authorization !== undefined && !isBasic(authorization));
  if (asClient && byToken)
    throw new ValidationFailed([{ path: 'client_id', message: 'must not be combined with another credential' }]);
  if (!asClient && !byToken) throw new InvalidClient('missing', true);
  const principal = await (asClient ? authenticateClient(client, request) : authenticate(credentials, authentication));
  if (!principal.scopes.includes(introspectionScope)) throw new InsufficientScope(introspectionScope);
  if (principal.apiKeyId === undefined) throw new InvalidAccessToken('not an api key');
  return principal;
}
