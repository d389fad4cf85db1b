import { z } from 'zod';
import type { IssuedTokens } from '../../core/tokens/issue-tokens.ts';

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
    access_token: z.string().meta({ description: 'A JWT (RFC 9068). Verify it with the keys of the JWKS' }),
    token_type: z.literal('Bearer').meta({ description: 'How to send the access token (RFC 6750)' }),
    expires_in: z.int().min(1).meta({ description: 'Lifetime of the access token in seconds' }),
    refresh_token: z
      .string()
      .regex(/^ktr_[\w-]{91}$/)
      .optional()
      .meta({ description: 'Opaque. Send it to `/refresh`. Omitted if it is in the cookie' }),
    csrf_token: z
      .string()
      .optional()
      .meta({ description: 'Send it as `X-CSRF-Token` with the cookie. Omitted if no cookie was set' }),
    refresh_expires_in: z.int().min(0).meta({ description: 'Seconds until an unused refresh token expires' }),
    scope: z.string().meta({ description: 'The scopes of the access token, separated by spaces' }),
    session_id: z.uuid().meta({ description: 'The id of the session in the `sid` claim and in `/sessions`' }),
  })
  .meta({
    id: 'TokenResponse',
    description: 'An access token and a refresh token of one session',
    examples: [example],
  });

export type TokenResponse = z.output<typeof TokenResponse>;

export const tokenResponseExample = example;

export const toTokenResponse = (tokens: IssuedTokens): TokenResponse => ({
  access_token: tokens.accessToken,
  token_type: 'Bearer',
  expires_in: tokens.expiresInSeconds,
  refresh_token: tokens.refreshToken,
  refresh_expires_in: tokens.refreshExpiresInSeconds,
  scope: tokens.scopes.join(' '),
  session_id: tokens.sessionId,
});

export const Transport = z.enum(['body', 'cookie']).default('body').meta({
  description:
    'Where the refresh token is returned: in the body, or, for browser apps, in a cookie that scripts cannot read',
});

export type Transport = z.output<typeof Transport>;
