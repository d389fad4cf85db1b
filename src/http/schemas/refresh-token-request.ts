import { z } from 'zod';
import { tokenResponseExample } from './token-response.ts';

export const RefreshTokenRequest = z
  .strictObject({
    /** No form is asked for here: what is no token of ours is answered like any other bad token. */
    refresh_token: z.string().optional().meta({ description: 'As the last answer gave it; left out with the cookie' }),
  })
  .meta({ id: 'RefreshTokenRequest', examples: [{ refresh_token: tokenResponseExample.refresh_token }] });

export type RefreshTokenRequest = z.output<typeof RefreshTokenRequest>;
