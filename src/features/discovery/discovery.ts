import { z } from 'zod';
import type { PublicJwk } from '../../core/keys/signing-key.ts';

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
        scopes_supported: ['profile', 'sessions'],
        response_types_supported: [],
        service_documentation: 'https://auth.example.com/openapi.yaml',
      },
    ],
  });

/**
 * RFC 8414 section 2 requires `response_types_supported`; section 3.2 forbids empty arrays. There is no authorization
 * endpoint, so one of the two must give: parsers insist on the member, and none on its not being empty.
 */
export const makeMetadata = (
  issuer: string,
  baseUrl: string,
  scopes: readonly string[],
): z.output<typeof Metadata> => ({
  issuer,
  jwks_uri: `${baseUrl}/.well-known/jwks.json`,
  scopes_supported: [...scopes],
  response_types_supported: [],
  service_documentation: `${baseUrl}/openapi.yaml`,
});
