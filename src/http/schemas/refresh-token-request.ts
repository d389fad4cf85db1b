import { z } from 'zod';
import { tokenResponseExample } from './token-response.ts';

export const RefreshTokenRequest = z
  .strictObject({
    // No format: a malformed token gets the same response as any other invalid token.
    refresh_token: z
      .string()
      .optional()
      .meta({ description: 'The token of the last response. Omit it with the cookie' }),
  })
  .meta({ id: 'RefreshTokenRequest', examples: [{ refresh_token: tokenResponseExample.refresh_token }] });

export type RefreshTokenRequest = z.output<typeof RefreshTokenRequest>;
