import { z } from 'zod';

const example = {
  access_token: 'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl',
  token_type: 'Bearer',
  expires_in: 900,
  refresh_token: `ktr_${'A'.repeat(91)}`,
  refresh_expires_in: 2_592_000,
  scope: 'profile sessions',
  session_id: '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11',
} as const;

/** RFC 6749 section 5.1 */
export const TokenResponse = z
  .object({
    access_token: z.string().meta({ description: 'A JWT (RFC 9068); verify it with the keys of the JWKS' }),
    token_type: z.literal('Bearer').meta({ description: 'How to present the access token (RFC 6750)' }),
    expires_in: z.int().min(1).meta({ description: 'Seconds that the access token lives' }),
    refresh_token: z
      .string()
      .regex(/^ktr_[\w-]{91}$/)
      .optional()
      .meta({ description: 'Opaque; trade it at `/refresh`. Left out where it travels in the cookie' }),
    csrf_token: z
      .string()
      .optional()
      .meta({ description: 'Send it as `X-CSRF-Token` with the cookie. Only there where the refresh token is in it' }),
    refresh_expires_in: z.int().min(0).meta({ description: 'Seconds until the refresh token expires unused' }),
    scope: z.string().meta({ description: 'The scopes of the access token, separated by spaces' }),
    session_id: z.uuid().meta({ description: 'The `sid` claim; as in `/sessions`' }),
  })
  .meta({ id: 'TokenResponse', description: 'A pair of tokens for one session', examples: [example] });

export type TokenResponse = z.output<typeof TokenResponse>;

export const tokenResponseExample = example;

export const Transport = z.enum(['body', 'cookie']).default('body').meta({
  description: 'How the refresh token travels: in the body, or in a cookie that no script can read, for browser apps',
});

export type Transport = z.output<typeof Transport>;
