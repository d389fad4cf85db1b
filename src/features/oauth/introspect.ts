import { z } from 'zod';
import type { Ratchet, RefreshToken } from '../../core/sessions/refresh-token.ts';
import type { ReadAccessToken } from '../../core/tokens/access-token.ts';
import type { LiveSession } from '../../core/sessions/live-session.sql.ts';
import type { GrantScopes } from '../../core/tokens/issue-tokens.ts';
import type { AccessTokenSubject, Principal } from '../../core/authorization/principal.ts';
import { authenticate, type Authentication, type Credentials } from '../../http/authenticate.ts';
import { isBasic } from '../../http/basic-auth.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { InsufficientScope, InvalidAccessToken, ValidationFailed } from '../../core/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { AuthenticateClient, PresentedClient } from './clients.ts';
import { InvalidClient } from './oauth.errors.ts';
import type { OAuthStore } from './oauth.store.ts';
import { readOrNothing } from './revoke.ts';

const ofAnyToken = {
  scope: z.string().optional().meta({ description: 'What it may do now, separated by spaces' }),
  client_id: z.string().optional().meta({ description: 'Whom it was issued to' }),
  sub: z.string().optional().meta({ description: 'The user, or the API key' }),
  exp: z.int().optional().meta({ description: 'When it expires, in seconds since the epoch' }),
};

const ofAccessTokens = {
  token_type: z.literal('Bearer').optional().meta({ description: 'Of access tokens only' }),
  iss: z.string().optional().meta({ description: 'The `iss` claim' }),
  // A union of a string and a list is what generators of clients stumble over.
  aud: z.unknown().optional().meta({ description: 'The `aud` claim: a string, or a list of strings' }),
  iat: z.int().optional().meta({ description: 'The `iat` claim' }),
  jti: z.string().optional().meta({ description: 'The `jti` claim' }),
  sid: z.uuid().optional().meta({ description: 'The `sid` claim: its session' }),
  auth_time: z.int().optional().meta({ description: 'The `auth_time` claim: the login of its session' }),
};

export const Introspection = z
  .object({
    active: z.boolean().meta({ description: 'Whether the token is good. False stands alone' }),
    ...ofAnyToken,
    ...ofAccessTokens,
  })
  .meta({
    id: 'Introspection',
    description: 'What is known of a token (RFC 7662 section 2.2)',
    examples: [{ active: false }],
  });

export type Introspection = z.output<typeof Introspection>;

const AccessTokenFacts = z.object({ client_id: z.string(), sub: z.string(), exp: z.int(), ...ofAccessTokens });

export interface IntrospectDeps {
  store: OAuthStore;
  clock: Clock;
  ratchet: Pick<Ratchet, 'parse'>;
  readAccessToken: ReadAccessToken;
  grantScopes: GrantScopes;
  /** The session of a refresh token that would be taken now; undefined for any other. Changes nothing. */
  findRotatableSession: (token: RefreshToken) => Promise<LiveSession | undefined>;
}

/** The scopes that the token's session or API key gives now; undefined where it has ended. */
async function holding(store: OAuthStore, bearer: AccessTokenSubject): Promise<string[] | undefined> {
  if (bearer.userId === undefined) return store.scopesOfApiKey(bearer);
  return bearer.sessionId && store.scopesOfSession(bearer.sessionId, bearer.userId);
}

const inactive: Introspection = { active: false };

/**
 * What the database says of a token now. Its scopes are those that its user, or its key and the key's owner, still hold;
 * an access token that was left none is not active. `readAccessToken` knows no token for another audience.
 */
export const makeIntrospect = (deps: IntrospectDeps) => {
  const ofRefreshToken = async (token: RefreshToken): Promise<Introspection> => {
    const session = await deps.findRotatableSession(token);
    if (!session) return inactive;
    const { userId: sub, clientId, heldScopes, requestedScope, refreshExpiresInSeconds } = session;
    const scope = deps.grantScopes(heldScopes, requestedScope).join(' ');
    const exp = deps.clock.nowSeconds() + refreshExpiresInSeconds;
    return { active: true, scope, client_id: clientId, sub, exp };
  };

  return async (token: string): Promise<Introspection> => {
    const refreshToken = deps.ratchet.parse(token);
    if (refreshToken) return ofRefreshToken(refreshToken);
    const read = readOrNothing(deps.readAccessToken, token);
    if (!read) return inactive;
    const { bearer, claims } = read;
    const held = await holding(deps.store, bearer);
    const scopes = bearer.scopes.filter((scope) => held?.includes(scope));
    if (scopes.length === 0) return inactive;
    return { active: true, scope: scopes.join(' '), ...AccessTokenFacts.parse({ ...claims, token_type: 'Bearer' }) };
  };
};

export type Introspect = ReturnType<typeof makeIntrospect>;

/** Who may ask. @throws InvalidClient, InvalidAccessToken, InsufficientScope, ValidationFailed */
export type RequireIntrospector = (
  presented: PresentedClient,
  by: Credentials,
  request: RequestInfo,
) => Promise<Principal>;

const scope = 'tokens:introspect';

/**
 * RFC 7662 section 2.1: the caller authenticates, "to prevent token scanning attacks". An API key does, by its secret or
 * by an access token of its own; no user's token is enough.
 */
export const makeRequireIntrospector =
  (authenticateClient: AuthenticateClient, authentication: Authentication): RequireIntrospector =>
  async (presented, by, request) => {
    const { authorization, apiKey } = by;
    const asClient = presented.id !== undefined || (authorization !== undefined && isBasic(authorization));
    const byToken = apiKey !== undefined || (authorization !== undefined && !isBasic(authorization));
    if (asClient && byToken)
      throw new ValidationFailed([{ path: 'client_id', message: 'must not come with another credential' }]);
    if (!asClient && !byToken) throw new InvalidClient('missing', true);
    const principal = asClient ? await authenticateClient(presented, request) : await authenticate(by, authentication);
    if (!principal.scopes.includes(scope)) throw new InsufficientScope(scope);
    if (principal.apiKeyId === undefined) throw new InvalidAccessToken('not of an api key');
    return principal;
  };
