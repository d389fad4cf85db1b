import { revokeTokensOf } from '../../core/api-keys/api-keys.sql.ts';
import type { Audit } from '../../core/audit/audit.ts';
import { InvalidAccessToken } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { Ratchet } from '../../core/sessions/refresh-token.ts';
import type { ReadAccessToken } from '../../core/tokens/access-token.ts';
import type { ApiKeyId, SessionId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';
import { type AuthenticateClient, isFirstParty, type PresentedClient } from './clients.ts';
import { InvalidGrant } from './oauth.errors.ts';

/** Reads an access token; undefined if it is invalid, expired or issued for another audience. */
export function readIfValid(read: ReadAccessToken, token: string): ReturnType<ReadAccessToken> | undefined {
  try {
    return read(token);
  } catch (error) {
    if (error instanceof InvalidAccessToken) return undefined;
    throw error;
  }
}

export interface RevokeDeps {
  db: Database;
  audit: Audit;
  authenticateClient: AuthenticateClient;
  ratchet: Pick<Ratchet, 'parse'>;
  readAccessToken: ReadAccessToken;
  /** The use case of `/logout`. Does nothing if the session has already ended. */
  endSession: (id: SessionId, request: RequestInfo) => Promise<void>;
}

/**
 * Revokes a token (RFC 7009 section 2.1). Either token of a session ends the session, as does a spent refresh token. An API key has
 * no sessions, so all of its current access tokens are revoked together. Invalid tokens need no revocation. Clients can revoke only
 * their own tokens; those of sessions belong to the first-party client. @throws InvalidClient, InvalidGrant
 */
export const makeRevoke =
  ({ db, audit, authenticateClient, ratchet, readAccessToken, endSession }: RevokeDeps) =>
  async (token: string, client: PresentedClient, request: RequestInfo): Promise<void> => {
    const authenticated = isFirstParty(client) ? undefined : await authenticateClient(client, request);
    const subject = readIfValid(readAccessToken, token)?.subject;
    const sessionId = ratchet.parse(token)?.sessionId ?? (subject?.userId && subject.sessionId);
    const apiKeyId = subject?.apiKeyId;
    if (sessionId === undefined && apiKeyId === undefined) return;
    if (apiKeyId !== authenticated?.apiKeyId) throw new InvalidGrant('issued to another client');
    if (apiKeyId) return revokeApiKeyTokens({ db, audit }, apiKeyId, request);
    if (sessionId === undefined) return;
    request.annotate({ sessionId });
    await endSession(sessionId, request);
  };

const revokeApiKeyTokens = (
  { db, audit }: Pick<RevokeDeps, 'db' | 'audit'>,
  apiKeyId: ApiKeyId,
  request: RequestInfo,
): Promise<void> =>
  db.transaction(async (tx) => {
    const userId = await revokeTokensOf(tx, apiKeyId);
    if (userId) await audit.record(tx, request, { type: 'api_key.tokens_revoked', userId, apiKeyId });
  });
