import type { ApiKeyClaims } from '../../../core/tokens/access-token.ts';
import type { AuthenticateClient } from '../clients.ts';
import { InvalidClient, InvalidScope } from '../oauth.errors.ts';
import type { OAuthStore } from '../oauth.store.ts';
import type { Grant } from '../token.ts';

export interface ClientCredentialsDeps {
  authenticateClient: AuthenticateClient;
  store: Pick<OAuthStore, 'admitClient'>;
  signAccessToken: (claims: ApiKeyClaims) => string;
  accessTtlSeconds: number;
}

/**
 * RFC 6749 section 4.4: an API key for an access token of its own. The scopes are those of the key that its owner still
 * holds, all of them where none is asked for: they were chosen by name when the key was made.
 */
export const clientCredentialsGrant = (deps: ClientCredentialsDeps): Grant => ({
  type: 'client_credentials',
  async give({ scope }, presented, request) {
    const { authenticateClient, store, signAccessToken, accessTtlSeconds } = deps;
    const principal = await authenticateClient(presented, request);
    if (!principal.apiKeyId) throw new InvalidClient('not an api key', presented.usedHeader);
    const asked = scope?.split(' ');
    const scopes = principal.scopes.filter((name) => asked?.includes(name) ?? true);
    if (scopes.length === 0) throw new InvalidScope('no scope left');
    const token = signAccessToken({ apiKeyId: principal.apiKeyId, scopes });
    await store.admitClient(principal, request);
    request.annotate({ userId: principal.userId });
    return { access_token: token, token_type: 'Bearer', expires_in: accessTtlSeconds, scope: scopes.join(' ') };
  },
});
