import type { RequestInfo } from '../../core/request-info.ts';
import type { RateLimitRule } from '../../http/rate-limits/rate-limit.ts';
import type { PresentedClient } from './clients.ts';
import { UnsupportedGrantType } from './oauth.errors.ts';
import type { OAuthTokenResponse, TokenForm } from './oauth.schemas.ts';

/** One grant type of the token endpoint. */
export interface Grant {
  /** The value of `grant_type`. */
  readonly type: string;
  readonly rateLimit: RateLimitRule;
  exchange(form: TokenForm, client: PresentedClient, request: RequestInfo): Promise<OAuthTokenResponse>;
}

/** Exchanges a grant for tokens (RFC 6749 section 3.2). @throws UnsupportedGrantType, and any error of the grant */
export const makeRequestToken =
  (grants: readonly Grant[]) =>
  (form: TokenForm, client: PresentedClient, request: RequestInfo): Promise<OAuthTokenResponse> => {
    const grant = grants.find(({ type }) => type === form.grant_type);
    if (!grant) throw new UnsupportedGrantType();
    return grant.exchange(form, client, request);
  };
