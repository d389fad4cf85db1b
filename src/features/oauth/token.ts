import { z } from 'zod';
import { ScopeRequest } from '../../core/authorization/scopes.ts';
import { TokenResponse, tokenResponseExample } from '../../http/schemas/token-response.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { PresentedClient } from './clients.ts';
import { clientParameters, oauthForm } from './forms.ts';

/** All that there are; the metadata lists those that are on. */
const grantTypes = ['password', 'refresh_token', 'client_credentials'];

export const TokenForm = oauthForm(
  {
    grant_type: z.string({ error: 'is needed' }).meta({
      description: 'Which of them are taken here, the metadata lists; each needs the parameters of its own',
      enum: grantTypes,
    }),
    username: z.string().optional().meta({ description: 'For `password`: the e-mail address' }),
    password: z.string().optional().meta({ description: 'For `password`', format: 'password' }),
    refresh_token: z.string().optional().meta({ description: 'For `refresh_token`' }),
    scope: ScopeRequest.optional().meta({
      description: 'Narrows the scopes; of a refresh, those of this access token only',
    }),
    ...clientParameters,
  },
  { id: 'TokenForm', description: 'A grant, to be traded for tokens (RFC 6749)' },
).meta({ examples: [{ grant_type: 'refresh_token', refresh_token: tokenResponseExample.refresh_token }] });

export type TokenForm = z.output<typeof TokenForm>;

const { csrf_token: _, refresh_expires_in: refreshExpiresIn, session_id: sessionId, ...members } = TokenResponse.shape;

export const OAuthTokenResponse = z
  .object({
    ...members,
    refresh_token: members.refresh_token.meta({
      description: 'Opaque; good once. Left out for `client_credentials` (RFC 6749 section 4.4.3)',
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

/** One grant of the token endpoint. */
export interface Grant {
  /** The `grant_type` of it. */
  readonly type: string;
  give(form: TokenForm, presented: PresentedClient, request: RequestInfo): Promise<OAuthTokenResponse>;
}
