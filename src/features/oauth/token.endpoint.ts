import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import type { Ratchet } from '../../core/sessions/refresh-token.ts';
import { AccountLocked, EmailNotVerified, InvalidCredentials } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { NotReady, Overloaded } from '../../lib/errors.ts';
import { presentedClient } from './clients.ts';
import { InvalidClient, InvalidGrant, InvalidScope, UnsupportedGrantType } from './oauth.errors.ts';
import { renderError, errorFormat } from './error-responses.ts';
import { type Grant, OAuthTokenResponse, TokenForm } from './token.ts';

export const tokenRoute = (grants: readonly Grant[], ratchet: Pick<Ratchet, 'parse'>) =>
  endpoint({
    method: 'post',
    path: '/token',
    operationId: 'requestToken',
    tag: 'OAuth 2',
    summary: 'Trade a grant for tokens',
    description:
      '`refresh_token` is as `/refresh`, for the client `first-party`, which has no secret and may be left out. ' +
      '`client_credentials` gives an API key an access token, and no refresh token. `password` is as `/login`, and off ' +
      'by default.',
    rateLimit: 'login',
    rateLimitOf: ({ grant_type: type }) => (type === 'refresh_token' ? 'refresh' : 'login'),
    // As at /refresh: a session is one client's.
    rateLimitKey: ({ grant_type: type, refresh_token: token = '' }) =>
      type === 'refresh_token' ? ratchet.parse(token)?.sessionId : undefined,
    body: TokenForm,
    bodyType: 'form',
    clientAuthentication: 'optional',
    response: OAuthTokenResponse,
    headers: { Pragma: 'no-cache' },
    renderError,
    errorFormat,
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
    handle({ body, credentials, request }) {
      const grant = grants.find(({ type }) => type === body.grant_type);
      if (!grant) throw new UnsupportedGrantType();
      return grant.give(body, presentedClient(body, credentials), request);
    },
  });
