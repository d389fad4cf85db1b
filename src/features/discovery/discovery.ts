import { z } from 'zod';
import type { PublicJwk } from '../../core/keys/signing-key.ts';

const PublicKey = z
  .object({
    kid: z.string().meta({ description: 'RFC 7638 thumbprint' }),
    kty: z.string(),
    alg: z.string(),
    use: z.literal('sig'),
    crv: z.string().optional(),
    x: z.string().optional(),
    y: z.string().optional(),
    n: z.string().optional(),
    e: z.string().optional(),
  })
  .meta({ id: 'PublicKey' });

export const JwkSet = z.object({ keys: z.array(PublicKey) }).meta({
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
    issuer: z.url(),
    jwks_uri: z.url(),
    scopes_supported: z.array(z.string()),
    response_types_supported: z.array(z.string()),
    subject_types_supported: z.array(z.string()).optional(),
    id_token_signing_alg_values_supported: z.array(z.string()).optional(),
    service_documentation: z.url(),
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
export const makeMetadata = (issuer: string, scopes: readonly string[]): z.output<typeof Metadata> => {
  const base = issuer.replace(/\/$/, '');
  return {
    issuer,
    jwks_uri: `${base}/.well-known/jwks.json`,
    scopes_supported: [...scopes],
    response_types_supported: [],
    service_documentation: `${base}/openapi.yaml`,
  };
};
