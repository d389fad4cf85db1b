import { InsufficientScope, InvalidAccessToken } from '../../core/errors.ts';
import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import { AccountLocked, EmailNotVerified, InvalidCredentials } from '../../core/users/users.errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import { type ClientsDeps, makeAuthenticateClient, presentedClient } from './clients.ts';
import { errorFormat, renderError } from './error-responses.ts';
import { clientCredentialsGrant, type ClientCredentialsDeps } from './grants/client-credentials.ts';
import { type LogIn, passwordGrant } from './grants/password.ts';
import { type Refresh, refreshTokenGrant } from './grants/refresh-token.ts';
import { type IntrospectDeps, makeIntrospect } from './introspect.ts';
import { InvalidClient, InvalidGrant, InvalidScope, UnsupportedGrantType } from './oauth.errors.ts';
import {
  Introspection,
  IntrospectionForm,
  OAuthTokenResponse,
  RevocationForm,
  Revoked,
  TokenForm,
} from './oauth.schemas.ts';
import { makeRevoke, type RevokeDeps } from './revoke.ts';
import { makeRequestToken } from './token.ts';

type OAuthDeps = ClientsDeps &
  Omit<ClientCredentialsDeps & RevokeDeps & IntrospectDeps, 'authenticateClient'> & {
    login: LogIn;
    refresh: Refresh;
    passwordGrantEnabled: boolean;
  };

const common = {
  method: 'post',
  tag: 'OAuth 2',
  bodyType: 'form',
  headers: { Pragma: 'no-cache' },
  renderError,
  errorFormat,
} as const;

/** The supported values of `grant_type`, for the metadata. */
export const grantTypes = (passwordGrantEnabled: boolean): string[] => [
  ...(passwordGrantEnabled ? ['password'] : []),
  'refresh_token',
  'client_credentials',
];

export function oauthEndpoints(deps: OAuthDeps): Endpoint[] {
  const { db, audit, ratchet, readAccessToken } = deps;
  const authenticateClient = makeAuthenticateClient(deps);
  const grants = [
    ...(deps.passwordGrantEnabled ? [passwordGrant(deps.login)] : []),
    refreshTokenGrant(deps.refresh, ratchet),
    clientCredentialsGrant({
      db,
      audit,
      authenticateClient,
      signAccessToken: deps.signAccessToken,
      accessTtlSeconds: deps.accessTtlSeconds,
      fitGrants: deps.fitGrants,
    }),
  ];
  const requestToken = makeRequestToken(grants);
  const revoke = makeRevoke({
    db,
    audit,
    authenticateClient,
    ratchet,
    readAccessToken,
    endSession: deps.endSession,
  });
  const introspect = makeIntrospect({
    db,
    authenticateClient,
    authentication: deps.authentication,
    ratchet,
    readAccessToken,
    requiresVerifiedEmail: deps.requiresVerifiedEmail,
    findRotatableSession: deps.findRotatableSession,
  });
  return [
    endpoint({
      ...common,
      path: '/token',
      operationId: 'requestToken',
      summary: 'Exchange a grant for tokens',
      description:
        '`refresh_token` works like `/refresh`, for the client `first-party`, which has no secret and is the default. ' +
        '`client_credentials` returns an access token for an API key and no refresh token. `password` works like `/login` ' +
        'and is off by default.',
      rateLimit: ({ grant_type: type }) => grants.find((grant) => grant.type === type)?.rateLimit ?? [],
      body: TokenForm,
      clientAuthentication: 'optional',
      response: OAuthTokenResponse,
      errors: [
        InvalidClient,
        InvalidGrant,
        InvalidScope,
        UnsupportedGrantType,
        InvalidCredentials,
        InvalidRefreshToken,
        EmailNotVerified,
        AccountLocked,
        Overloaded,
        NotReady,
      ],
      handle: ({ body, credentials, request }) => requestToken(body, presentedClient(body, credentials), request),
    }),
    endpoint({
      ...common,
      path: '/revoke',
      operationId: 'revokeToken',
      summary: 'Revoke a token and its session',
      description:
        'Revoking a refresh token or an access token revokes its session. The response is the same for unknown and invalid tokens. An ' +
        'API key that authenticates revokes all of its current access tokens. Tokens of other clients return `invalid_grant`.',
      rateLimit: { group: 'login', counts: [InvalidClient], unguessable: true },
      body: RevocationForm,
      clientAuthentication: 'optional',
      response: Revoked,
      errors: [InvalidClient, InvalidGrant, NotReady],
      async handle({ body, credentials, request }) {
        await revoke(body.token, presentedClient(body, credentials), request);
        return {};
      },
    }),
    endpoint({
      ...common,
      path: '/introspect',
      operationId: 'introspectToken',
      summary: 'Get the current state of a token',
      description:
        'Requires an API key with the scope `tokens:introspect`. Revoked sessions, disabled accounts, revoked keys and withdrawn roles take ' +
        'effect immediately. For tokens that are invalid or issued for another audience, the response contains only `active: false`.',
      rateLimit: { group: 'login', counts: [InvalidClient], unguessable: true },
      body: IntrospectionForm,
      clientAuthentication: 'required',
      response: Introspection,
      errors: [InvalidClient, InvalidAccessToken, InsufficientScope, NotReady],
      handle: ({ body, credentials, request }) =>
        introspect(body.token, presentedClient(body, credentials), credentials, request),
    }),
  ];
}
