import type { SessionId, UserId } from '../../lib/ids.ts';
import type { Keyring } from '../signing-keys/keyring.ts';
import type { AccessClaims } from './access-token.ts';
import type { TokenResponse } from '../../http/schemas/token-response.ts';

/** What the statements that open or turn a session tell of it, for its tokens. */
export interface LiveSession {
  id: SessionId;
  userId: UserId;
  clientId: string;
  /** Seconds since the epoch. */
  authTime: number;
  amr: string[];
  emailVerified: boolean;
  roles: string[];
  /** The union of the scopes of the user's roles, sorted. */
  heldScopes: string[];
  /** What the login asked for; null where it asked for nothing. */
  askedScope: string | null;
  refreshExpiresInSeconds: number;
}

/** The scopes of a token, of those that the user holds and those that were asked for. */
export type GrantScopes = (held: readonly string[], asked: string | null) => string[];

export interface TokensDeps {
  sign: (claims: AccessClaims) => string;
  keyring: Pick<Keyring, 'active'>;
  grantScopes: GrantScopes;
  accessTtlSeconds: number;
}

export interface Tokens {
  /** Asked before anything is written that only a token could follow. @throws NotReady without a signing key */
  requireKey(): void;
  /** The answer of every endpoint that gives tokens (RFC 6749 section 5.1). `narrowedTo` is for this access token alone. */
  respond(session: LiveSession, refreshToken: string, narrowedTo?: string | null): TokenResponse;
}

export const makeTokens = ({ sign, keyring, grantScopes, accessTtlSeconds }: TokensDeps): Tokens => ({
  requireKey: () => void keyring.active(),

  respond(session, refreshToken, narrowedTo = null) {
    const granted = grantScopes(session.heldScopes, session.askedScope);
    const scopes = narrowedTo === null ? granted : grantScopes(granted, narrowedTo);
    const { id, userId, clientId, authTime, amr, emailVerified, roles } = session;
    return {
      access_token: sign({ userId, sessionId: id, clientId, scopes, roles, authTime, amr, emailVerified }),
      token_type: 'Bearer',
      expires_in: accessTtlSeconds,
      refresh_token: refreshToken,
      refresh_expires_in: session.refreshExpiresInSeconds,
      scope: scopes.join(' '),
      session_id: id,
    };
  },
});
