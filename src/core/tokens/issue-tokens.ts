import { grantScopes } from '../authorization/scopes.ts';
import type { FitGrants } from '../authorization/token-budget.ts';
import type { SessionId } from '../../lib/ids.ts';
import type { LiveSession } from '../sessions/live-session.sql.ts';
import { formatToken, type RefreshToken } from '../sessions/refresh-token.ts';
import type { Keyring } from '../signing-keys/keyring.ts';
import type { AccessClaims } from './sign-access-token.ts';

/** The tokens of one session. */
export interface IssuedTokens {
  accessToken: string;
  expiresInSeconds: number;
  refreshToken: string;
  refreshExpiresInSeconds: number;
  /** The scopes of the access token. */
  scopes: readonly string[];
  sessionId: SessionId;
}

export interface TokensDeps {
  sign: (claims: AccessClaims) => string;
  keyring: Pick<Keyring, 'active'>;
  accessTtlSeconds: number;
  fitGrants: FitGrants;
}

export interface Tokens {
  /** Call it before a write that is useless without a token. @throws NotReady without a signing key */
  requireKey(): void;
  /** The scopes that were granted to a session and that its user still holds. */
  grantedScopes(session: LiveSession): string[];
  /** Issues an access token and delivers the refresh token with it. `narrowedTo` applies to this access token only. */
  issue(session: LiveSession, refreshToken: RefreshToken, narrowedTo?: string | null): IssuedTokens;
}

export function makeTokens({ sign, keyring, accessTtlSeconds, fitGrants }: TokensDeps): Tokens {
  const grantedScopes = ({ heldScopes, requestedScope }: LiveSession) => grantScopes(heldScopes, requestedScope);
  return {
    requireKey: () => void keyring.active(),
    grantedScopes,

    issue(session, refreshToken, narrowedTo = null) {
      const granted = grantedScopes(session);
      const wanted = narrowedTo === null ? granted : grantScopes(granted, narrowedTo);
      const { id: sessionId, userId, clientId, authTime, amr, emailVerified } = session;
      const { roles, scopes } = fitGrants(userId, { roles: session.roles, scopes: wanted });
      return {
        accessToken: sign({ userId, sessionId, clientId, scopes, roles, authTime, amr, emailVerified }),
        expiresInSeconds: accessTtlSeconds,
        refreshToken: formatToken(refreshToken),
        refreshExpiresInSeconds: session.refreshExpiresInSeconds,
        scopes,
        sessionId,
      };
    },
  };
}
