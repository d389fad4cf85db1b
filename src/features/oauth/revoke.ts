import type { ReadAccessToken } from '../../core/tokens/access-token.ts';
import type { Ratchet } from '../../core/sessions/refresh-token.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { InvalidAccessToken } from '../../core/errors.ts';
import type { SessionId } from '../../lib/ids.ts';
import { type AuthenticateClient, isFirstParty, type PresentedClient } from './clients.ts';
import { InvalidGrant } from './oauth.errors.ts';
import type { OAuthStore } from './oauth.store.ts';

/** Undefined for what is no good access token of ours: expired, of another service, or none at all. */
export function readOrNothing(read: ReadAccessToken, token: string): ReturnType<ReadAccessToken> | undefined {
  try {
    return read(token);
  } catch (error) {
    if (error instanceof InvalidAccessToken) return undefined;
    throw error;
  }
}

export interface RevokeDeps {
  authenticateClient: AuthenticateClient;
  ratchet: Pick<Ratchet, 'parse'>;
  readAccessToken: ReadAccessToken;
  store: Pick<OAuthStore, 'revokeTokens'>;
  /** As a logout: what has ended already stays as it is. */
  endSession: (id: SessionId, request: RequestInfo) => Promise<void>;
}

export type Revoke = (token: string, presented: PresentedClient, request: RequestInfo) => Promise<void>;

/**
 * RFC 7009 section 2.1. A token shows what it is, so no hint is needed. Either kind ends its session, and with it the
 * other; a refresh token that was spent, too. Sessions are the first-party client's: "verifies whether the token was
 * issued to the client making the revocation request", else it is refused. What is not good any more is as good as revoked.
 * An API key has no sessions: all access tokens that it has now go together. @throws InvalidClient, InvalidGrant
 */
export const makeRevoke =
  ({ authenticateClient, ratchet, readAccessToken, store, endSession }: RevokeDeps): Revoke =>
  async (token, presented, request) => {
    const apiKey = isFirstParty(presented) ? undefined : await authenticateClient(presented, request);
    const bearer = readOrNothing(readAccessToken, token)?.bearer;
    const sessionId = ratchet.parse(token)?.sessionId ?? (bearer?.userId && bearer.sessionId);
    const apiKeyId = bearer?.apiKeyId;
    if (sessionId === undefined && apiKeyId === undefined) return;
    if (apiKeyId !== apiKey?.apiKeyId) throw new InvalidGrant('issued to another client');
    if (apiKeyId) return store.revokeTokens(apiKeyId, request);
    if (sessionId === undefined) return;
    request.annotate({ sessionId });
    await endSession(sessionId, request);
  };
