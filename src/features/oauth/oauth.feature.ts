import type { VerifyAccessToken } from '../../http/authenticate.ts';
import type { Database } from '../../platform/postgres.ts';
import { type ClientsDeps, makeAuthenticateClient } from './clients.ts';
import { clientCredentialsGrant, type ClientCredentialsDeps } from './grants/client-credentials.grant.ts';
import { type LogIn, passwordGrant } from './grants/password.grant.ts';
import { type Refresh, refreshTokenGrant } from './grants/refresh-token.grant.ts';
import { type IntrospectDeps, makeIntrospect, makeRequireIntrospector } from './introspect.ts';
import { introspectRoute } from './introspect.endpoint.ts';
import { makeOAuthStore } from './oauth.store.ts';
import { makeRevoke, type RevokeDeps } from './revoke.ts';
import { revokeRoute } from './revoke.endpoint.ts';
import { tokenRoute } from './token.endpoint.ts';

type Made = 'store' | 'authenticateClient';

/** What other features do for it, `app.ts` hands over. */
type Needs = Omit<ClientsDeps & ClientCredentialsDeps & RevokeDeps & IntrospectDeps, Made> & {
  db: Database;
  login: LogIn;
  refresh: Refresh;
  verifyAccessToken: VerifyAccessToken;
  passwordGrant: boolean;
  baseUrl: string;
  describedScopes: Readonly<Record<string, string>>;
};

export function oauth(needs: Needs) {
  const { login, refresh, ratchet, findApiKey, verifyAccessToken: verify, baseUrl, describedScopes: scopes } = needs;
  const store = makeOAuthStore(needs.db);
  const authenticateClient = makeAuthenticateClient({ ...needs, store });
  const deps = { ...needs, store, authenticateClient };
  const grants = [
    ...(needs.passwordGrant ? [passwordGrant(login)] : []),
    refreshTokenGrant(refresh, ratchet),
    clientCredentialsGrant(deps),
  ];
  const requireIntrospector = makeRequireIntrospector(authenticateClient, { verify, findApiKey });
  return {
    grantTypes: grants.map(({ type }) => type),
    /** How the page at /docs logs in. */
    passwordFlow: needs.passwordGrant ? { tokenUrl: `${baseUrl}/token`, scopes } : undefined,
    endpoints: [
      tokenRoute(grants, ratchet),
      revokeRoute(makeRevoke(deps)),
      introspectRoute(makeIntrospect(deps), requireIntrospector),
    ],
  };
}
