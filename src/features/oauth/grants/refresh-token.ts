import type { RequestInfo } from '../../../core/request-info.ts';
import type { Ratchet, RefreshToken } from '../../../core/sessions/refresh-token.ts';
import { InvalidRefreshToken, isReuse } from '../../../core/sessions/sessions.errors.ts';
import type { IssuedTokens } from '../../../core/tokens/issue-tokens.ts';
import { toTokenResponse } from '../../../http/schemas/token-response.ts';
import { requireFirstParty } from '../clients.ts';
import { required } from '../oauth.schemas.ts';
import type { Grant } from '../token.ts';

/** The use case of `/refresh`. `scope` narrows this access token only. A scope that is too wide does not spend the token. */
export type Refresh = (
  presented: RefreshToken | undefined,
  request: RequestInfo,
  scope: string | null,
) => Promise<IssuedTokens>;

/** Exchanges a refresh token for new tokens (RFC 6749 section 6). */
export const refreshTokenGrant = (refresh: Refresh, ratchet: Pick<Ratchet, 'parse'>): Grant => ({
  type: 'refresh_token',
  rateLimit: { group: 'refresh', counts: [InvalidRefreshToken], unguessable: true, exempt: isReuse },
  async exchange({ refresh_token: token, scope = null }, client, request) {
    requireFirstParty(client);
    return toTokenResponse(await refresh(ratchet.parse(required('refresh_token', token)), request, scope));
  },
});
