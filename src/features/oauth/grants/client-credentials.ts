import type { Audit } from '../../../core/audit/audit.ts';
import type { FitGrants } from '../../../core/authorization/token-budget.ts';
import type { ApiKeyClaims } from '../../../core/tokens/access-token.ts';
import type { Database } from '../../../platform/postgres.ts';
import type { AuthenticateClient } from '../clients.ts';
import { InvalidClient, InvalidScope } from '../oauth.errors.ts';
import type { Grant } from '../token.ts';

export interface ClientCredentialsDeps {
  db: Database;
  authenticateClient: AuthenticateClient;
  audit: Audit;
  signAccessToken: (claims: ApiKeyClaims) => string;
  accessTtlSeconds: number;
  /** Keys of earlier releases can have more scopes than fit into a token. */
  fitGrants: FitGrants;
}

/**
 * Exchanges an API key for an access token (RFC 6749 section 4.4). The token has the key's scopes that the owner still holds,
 * including elevated ones: they were requested by name when the key was created.
 */
export const clientCredentialsGrant = (deps: ClientCredentialsDeps): Grant => ({
  type: 'client_credentials',
  rateLimit: { group: 'login', counts: [InvalidClient], unguessable: true },
  async exchange({ scope }, client, request) {
    const { db, authenticateClient, audit, signAccessToken, accessTtlSeconds, fitGrants } = deps;
    const { userId, apiKeyId, scopes: keyScopes, tokenEpochMs } = await authenticateClient(client, request);
    const requested = scope?.split(' ') ?? keyScopes;
    const granted = keyScopes.filter((name) => requested.includes(name));
    const { scopes } = fitGrants(userId, { roles: [], scopes: granted });
    if (scopes.length === 0) throw new InvalidScope('no scope left');
    const accessToken = signAccessToken({ apiKeyId, scopes, tokenEpochMs });
    await audit.record(db, request, { type: 'client.authenticated', userId, apiKeyId });
    request.annotate({ userId });
    return { access_token: accessToken, token_type: 'Bearer', expires_in: accessTtlSeconds, scope: scopes.join(' ') };
  },
});
