import { z } from 'zod';
import { tokenResponseExample } from './token-response.ts';

export const RefreshTokenRequest = z
  .strictObject({
    // No format: a malformed token gets the same response as any other invalid token.
    refresh_token: z
      .string()
      .optional()
      .meta({ description: 'The refresh token of the latest response. Omit it if you use the cookie' }),
  })
  .meta({ id: 'RefreshTokenRequest', examples: [{ refresh_token: tokenResponseExample.refresh_token }] });

export type RefreshTokenRequest = z.output<typeof RefreshTokenRequest>;
