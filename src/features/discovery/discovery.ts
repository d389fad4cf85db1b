import { z } from 'zod';
import type { PublicJwk } from '../../core/signing-keys/signing-key.ts';

const PublicKey = z
  .object({
    kid: z.string().meta({ description: 'RFC 7638 thumbprint' }),
    kty: z.string().meta({ description: '`EC`, `OKP` or `RSA`' }),
    alg: z.string().meta({ description: 'The one algorithm to verify with (RFC 8725 section 3.1)' }),
    use: z.literal('sig').meta({ description: 'Signatures only' }),
    crv: z.string().optional().meta({ description: 'The curve of `EC` and `OKP`' }),
    x: z.string().optional().meta({ description: 'The public point of `EC` and `OKP`' }),
    y: z.string().optional().meta({ description: 'Its other coordinate; `EC` only' }),
    n: z.string().optional().meta({ description: 'The modulus of `RSA`' }),
    e: z.string().optional().meta({ description: 'The exponent of `RSA`' }),
  })
  .meta({ id: 'PublicKey', description: 'The public half of a signing key (RFC 7517 section 4)' });

const publishedKeys = z.array(PublicKey).meta({ description: 'Choose by `kid`; the newest stands first' });

export const JwkSet = z.object({ keys: publishedKeys }).meta({
  id: 'JwkSet',
  description: 'The keys to verify access tokens with (RFC 7517 section 5)',
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

/** Names the members that may go out, so that no other ever does. */
export const toJwkSet = (keys: readonly PublicJwk[]): z.output<typeof JwkSet> => ({
  keys: keys.map((key) => PublicKey.parse(key)),
});

export const Metadata = z
  .object({
    issuer: z.url().meta({ description: 'The `iss` claim, to the letter' }),
    jwks_uri: z.url().meta({ description: 'Where the keys are' }),
    token_endpoint: z.url().meta({ description: 'Where grants are traded for tokens' }),
    revocation_endpoint: z.url().meta({ description: 'Where tokens are taken back (RFC 7009)' }),
    introspection_endpoint: z.url().meta({ description: 'Where tokens are asked after (RFC 7662)' }),
    grant_types_supported: z.array(z.string()).meta({ description: 'What the token endpoint takes' }),
    token_endpoint_auth_methods_supported: z
      .array(z.string())
      .meta({ description: '`none` for the first-party client; the others are for API keys' }),
    revocation_endpoint_auth_methods_supported: z.array(z.string()).meta({ description: 'The same' }),
    introspection_endpoint_auth_methods_supported: z
      .array(z.string())
      .meta({ description: 'For API keys; `Bearer` is an access token of one' }),
    scopes_supported: z.array(z.string()).meta({ description: 'The scopes of this service' }),
    response_types_supported: z.array(z.string()).meta({ description: 'None: there is no authorization endpoint' }),
    subject_types_supported: z.array(z.string()).optional().meta({ description: 'Every client sees the same `sub`' }),
    id_token_signing_alg_values_supported: z
      .array(z.string())
      .optional()
      .meta({ description: 'What access tokens are signed with, too' }),
    service_documentation: z.url().meta({ description: 'The OpenAPI document' }),
  })
  .meta({
    id: 'Metadata',
    description: 'What verifiers and clients need to know (RFC 8414 section 2)',
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
        response_types_supported: [],
        service_documentation: 'https://auth.example.com/openapi.yaml',
      },
    ],
  });

const withSecret = ['client_secret_basic', 'client_secret_post'];

/**
 * RFC 8414 section 2 requires `response_types_supported`; section 3.2 forbids empty arrays. There is no authorization
 * endpoint, so one of the two must give: parsers insist on the member, and none on its not being empty.
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
  response_types_supported: [],
  service_documentation: `${baseUrl}/openapi.yaml`,
});
