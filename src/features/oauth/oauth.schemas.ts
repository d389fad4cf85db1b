import { z } from 'zod';
import { ScopeRequest } from '../../core/authorization/scopes.ts';
import { ValidationFailed } from '../../core/errors.ts';
import { TokenResponse, tokenResponseExample } from '../../http/schemas/token-response.ts';

/** RFC 6749 section 3.2: "Parameters sent without a value MUST be treated as if they were omitted". Ignores unknown parameters. */
const oauthForm = <Shape extends z.ZodRawShape>(shape: Shape, meta: { id: string; description: string }) =>
  z.preprocess(
    (form) => Object.fromEntries(Object.entries(form ?? {}).filter(([, value]) => value !== '')),
    z.object(shape).meta(meta),
  );

/** Returns a parameter that the grant type requires. @throws ValidationFailed */
export function required(name: string, value: string | undefined): string {
  if (value === undefined) throw new ValidationFailed([{ path: name, message: 'is required' }]);
  return value;
}

const isRequired = { error: 'is required' };

/** For clients that do not use `Authorization` (RFC 6749 section 2.3.1). */
const clientParameters = {
  client_id: z.string().optional().meta({ description: "`first-party`, or an API key's `client_id`" }),
  client_secret: z.string().optional().meta({ description: 'The secret of the API key, unless HTTP Basic is used' }),
};

const tokenParameters = {
  token: z.string(isRequired).meta({ description: 'A refresh token or an access token' }),
  token_type_hint: z.string().optional().meta({ description: 'Ignored, because the token shows its type' }),
};

export const TokenForm = oauthForm(
  {
    grant_type: z.string(isRequired).meta({
      description: 'The metadata lists the supported grant types. Each one requires its own parameters',
      enum: ['password', 'refresh_token', 'client_credentials'],
    }),
    username: z.string().optional().meta({ description: 'The email address. Only for `password`' }),
    password: z.string().optional().meta({ description: 'Only for `password`', format: 'password' }),
    refresh_token: z.string().optional().meta({ description: 'Only for `refresh_token`' }),
    scope: ScopeRequest.optional().meta({
      description: 'Narrows the scopes. For `refresh_token`, this affects only the new access token',
    }),
    ...clientParameters,
  },
  { id: 'TokenForm', description: 'A grant to exchange for tokens (RFC 6749)' },
).meta({ examples: [{ grant_type: 'refresh_token', refresh_token: tokenResponseExample.refresh_token }] });

export type TokenForm = z.output<typeof TokenForm>;

const { csrf_token: _, refresh_expires_in: refreshExpiresIn, session_id: sessionId, ...members } = TokenResponse.shape;

export const OAuthTokenResponse = z
  .object({
    ...members,
    refresh_token: members.refresh_token.meta({
      description: 'Opaque. Each can be used once. Absent for `client_credentials` (RFC 6749 section 4.4.3)',
    }),
    refresh_expires_in: refreshExpiresIn.optional(),
    session_id: sessionId.optional(),
  })
  .meta({
    id: 'OAuthTokenResponse',
    description: 'Tokens for an OAuth client (RFC 6749 section 5.1)',
    examples: [tokenResponseExample],
  });

export type OAuthTokenResponse = z.output<typeof OAuthTokenResponse>;

export const RevocationForm = oauthForm(
  { ...tokenParameters, ...clientParameters },
  { id: 'RevocationForm', description: 'A token to revoke (RFC 7009)' },
).meta({ examples: [{ token: `ktr_${'A'.repeat(91)}`, token_type_hint: 'refresh_token' }] });

/** RFC 7009 section 2.2: "The content of the response body is ignored by the client". Some clients parse it as JSON nevertheless. */
export const Revoked = z
  .object({})
  .meta({ id: 'Revoked', description: 'An empty object (RFC 7009 section 2.2)', examples: [{}] });

export const IntrospectionForm = oauthForm(
  { ...tokenParameters, ...clientParameters },
  { id: 'IntrospectionForm', description: 'A token to introspect (RFC 7662)' },
).meta({ examples: [{ token: `ktr_${'A'.repeat(91)}` }] });

const accessTokenMembers = {
  token_type: z.literal('Bearer').optional().meta({ description: 'Only for access tokens' }),
  iss: z.string().optional().meta({ description: 'The `iss` claim' }),
  // Client generators do not support a union of a string and an array well.
  aud: z.unknown().optional().meta({ description: 'The `aud` claim: a string or an array of strings' }),
  iat: z.int().optional().meta({ description: 'The `iat` claim' }),
  jti: z.string().optional().meta({ description: 'The `jti` claim' }),
  sid: z.uuid().optional().meta({ description: 'The `sid` claim: the session' }),
  auth_time: z.int().optional().meta({ description: 'The `auth_time` claim: the login of the session' }),
};

export const Introspection = z
  .object({
    active: z.boolean().meta({ description: 'Whether the token is valid. If false, there are no other members' }),
    scope: z.string().optional().meta({ description: 'The current scopes of the token, separated by spaces' }),
    client_id: z.string().optional().meta({ description: 'The client that the token was issued to' }),
    sub: z.string().optional().meta({ description: 'The user or the API key' }),
    exp: z.int().optional().meta({ description: 'Expiry in seconds since the epoch' }),
    ...accessTokenMembers,
  })
  .meta({
    id: 'Introspection',
    description: 'The state of a token (RFC 7662 section 2.2)',
    examples: [{ active: false }],
  });

export type Introspection = z.output<typeof Introspection>;

/** The claims of an access token that its introspection contains. */
export const IntrospectedClaims = z.object({
  client_id: z.string(),
  sub: z.string(),
  exp: z.int(),
  ...accessTokenMembers,
});
