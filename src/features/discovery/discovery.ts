import { z } from 'zod';
import type { PublicJwk } from '../../core/signing-keys/signing-key.ts';

const PublicKey = z
  .object({
    kid: z.string().meta({ description: 'RFC 7638 thumbprint' }),
    kty: z.string().meta({ description: '`EC`, `OKP` or `RSA`' }),
    alg: z.string().meta({ description: 'The only algorithm of this key (RFC 8725 section 3.1)' }),
    use: z.literal('sig').meta({ description: 'Always `sig`: for signatures' }),
    crv: z.string().optional().meta({ description: 'The curve, for `EC` and `OKP`' }),
    x: z.string().optional().meta({ description: 'The public key of `OKP`, or the x coordinate of `EC`' }),
    y: z.string().optional().meta({ description: 'The y coordinate, for `EC`' }),
    n: z.string().optional().meta({ description: 'The modulus, for `RSA`' }),
    e: z.string().optional().meta({ description: 'The exponent, for `RSA`' }),
  })
  .meta({ id: 'PublicKey', description: 'The public part of a signing key (RFC 7517 section 4)' });

const publishedKeys = z
  .array(PublicKey)
  .meta({ description: 'Newest first. The `kid` header of a token names its key' });

export const JwkSet = z.object({ keys: publishedKeys }).meta({
  id: 'JwkSet',
  description: 'The keys that verify access tokens (RFC 7517 section 5)',
  examples: [
    {
      keys: [
        {
          kty: 'EC',
          crv: 'P-256',
          x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
          y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
          kid: 'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U',
          alg: 'ES256',
          use: 'sig',
        },
      ],
    },
  ],
});

/** Parses each key by the schema, so that no private member is ever published. */
export const toJwkSet = (keys: readonly PublicJwk[]): z.output<typeof JwkSet> => ({
  keys: keys.map((key) => PublicKey.parse(key)),
});

export const Metadata = z
  .object({
    issuer: z.url().meta({ description: 'Exactly the `iss` claim of access tokens' }),
    jwks_uri: z.url().meta({ description: 'The URL of the keys' }),
    token_endpoint: z.url().meta({ description: 'The endpoint that exchanges grants for tokens' }),
    revocation_endpoint: z.url().meta({ description: 'The endpoint that revokes tokens (RFC 7009)' }),
    introspection_endpoint: z.url().meta({ description: 'The endpoint that returns the state of a token (RFC 7662)' }),
    grant_types_supported: z.array(z.string()).meta({ description: 'The grant types of the token endpoint' }),
    token_endpoint_auth_methods_supported: z
      .array(z.string())
      .meta({ description: '`none` is for the first-party client, the others are for API keys' }),
    revocation_endpoint_auth_methods_supported: z
      .array(z.string())
      .meta({ description: 'The same methods as for the token endpoint' }),
    introspection_endpoint_auth_methods_supported: z
      .array(z.string())
      .meta({ description: 'For API keys. `Bearer` is the access token of an API key' }),
    scopes_supported: z.array(z.string()).meta({ description: 'The scopes of this service' }),
    response_types_supported: z
      .array(z.string())
      .meta({ description: '`none`, because there is no authorization endpoint' }),
    subject_types_supported: z.array(z.string()).optional().meta({ description: 'All clients receive the same `sub`' }),
    id_token_signing_alg_values_supported: z
      .array(z.string())
      .optional()
      .meta({ description: 'The algorithms that access tokens are signed with' }),
    service_documentation: z.url().meta({ description: 'The OpenAPI document' }),
  })
  .meta({
    id: 'Metadata',
    description: 'The metadata for verifiers and clients (RFC 8414 section 2)',
    examples: [
      {
        issuer: 'https://auth.example.com',
        jwks_uri: 'https://auth.example.com/.well-known/jwks.json',
        token_endpoint: 'https://auth.example.com/token',
        revocation_endpoint: 'https://auth.example.com/revoke',
        introspection_endpoint: 'https://auth.example.com/introspect',
        grant_types_supported: ['refresh_token', 'client_credentials'],
        token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
        revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
        introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'Bearer'],
        scopes_supported: ['profile', 'sessions'],
        response_types_supported: ['none'],
        service_documentation: 'https://auth.example.com/openapi.yaml',
      },
    ],
  });

const withSecret = ['client_secret_basic', 'client_secret_post'];

/**
 * RFC 8414 section 2 requires `response_types_supported` and section 3.2 forbids empty arrays. Without an authorization endpoint it is
 * `none`, the registered response type that returns neither a code nor a token.
 */
export const makeMetadata = (
  issuer: string,
  baseUrl: string,
  scopes: readonly string[],
  grantTypes: readonly string[],
): z.output<typeof Metadata> => ({
  issuer,
  jwks_uri: `${baseUrl}/.well-known/jwks.json`,
  token_endpoint: `${baseUrl}/token`,
  revocation_endpoint: `${baseUrl}/revoke`,
  introspection_endpoint: `${baseUrl}/introspect`,
  grant_types_supported: [...grantTypes],
  token_endpoint_auth_methods_supported: ['none', ...withSecret],
  revocation_endpoint_auth_methods_supported: ['none', ...withSecret],
  introspection_endpoint_auth_methods_supported: [...withSecret, 'Bearer'],
  scopes_supported: [...scopes],
  response_types_supported: ['none'],
  service_documentation: `${baseUrl}/openapi.yaml`,
});
