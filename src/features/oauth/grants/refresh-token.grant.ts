import type { Ratchet, RefreshToken } from '../../../core/sessions/refresh-token.ts';
import type { IssuedTokens } from '../../../core/tokens/issue-tokens.ts';
import { toTokenResponse } from '../../../http/schemas/token-response.ts';
import type { RequestInfo } from '../../../core/request-info.ts';
import { requireFirstParty } from '../clients.ts';
import { required } from '../forms.ts';
import type { Grant } from '../token.ts';

/** A refresh as `/refresh` does it. `scope` is for this access token only; one that is too wide spends nothing. */
export type Refresh = (
  presented: RefreshToken | undefined,
  request: RequestInfo,
  scope: string | null,
) => Promise<IssuedTokens>;

/** RFC 6749 section 6 */
export const refreshTokenGrant = (refresh: Refresh, ratchet: Pick<Ratchet, 'parse'>): Grant => ({
  type: 'refresh_token',
  async give({ refresh_token: token, scope = null }, presented, request) {
    requireFirstParty(presented);
    return toTokenResponse(await refresh(ratchet.parse(required('refresh_token', token)), request, scope));
  },
});
