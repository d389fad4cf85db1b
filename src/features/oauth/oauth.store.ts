import { isKeyOf, revokeTokensOf } from '../../core/api-keys/api-keys.sql.ts';
import { recordEvent } from '../../core/audit/audit.store.ts';
import { isLive } from '../../core/sessions/sessions.store.ts';
import { isLiveApiKey, joinGrants } from '../../core/authorization/fragments.sql.ts';
import type { ApiKeySubject, Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { ApiKeyId, SessionId, UserId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';

export const makeOAuthStore = (db: Database) => ({
  admitClient: ({ userId, apiKeyId }: Principal, request: RequestInfo): Promise<void> =>
    recordEvent(db, request, { type: 'client.authenticated', outcome: 'success', userId, apiKeyId }),

  /** The key is the one that was claimed: there may be none. */
  refuseClient: (apiKeyId: ApiKeyId | undefined, reason: string, request: RequestInfo): Promise<void> =>
    recordEvent(db, request, { type: 'client.authenticated', outcome: 'failure', reason, apiKeyId }),

  /** The scopes that the holder of a live session holds now; undefined where it has ended. */
  async scopesOfSession(sessionId: SessionId, userId: UserId): Promise<string[] | undefined> {
    const [row] = await db.$queryRaw<{ scopes: string[] }[]>`
      SELECT COALESCE(grants.scopes, '{}') AS scopes
      FROM sessions AS s JOIN users AS u ON u.id = s.user_id AND u.is_active ${joinGrants}
      WHERE s.id = ${sessionId}::uuid AND u.id = ${userId}::uuid AND ${isLive}`;
    return row?.scopes;
  },

  /** The scopes of a live key that its owner still holds, undefined where there is none. To look is not to use it. */
  async scopesOfApiKey(bearer: ApiKeySubject): Promise<string[] | undefined> {
    const [row] = await db.$queryRaw<{ scopes: string[] }[]>`
      SELECT ARRAY(SELECT unnest(k.scopes) INTERSECT SELECT unnest(grants.scopes)) AS scopes
      FROM api_keys AS k JOIN users AS u ON u.id = k.user_id AND u.is_active ${joinGrants}
      WHERE ${isKeyOf(bearer)} AND ${isLiveApiKey}`;
    return row?.scopes;
  },

  /** Ends the access tokens that an API key has now. */
  revokeTokens: (apiKeyId: ApiKeyId, request: RequestInfo): Promise<void> =>
    db.$transaction(async (tx) => {
      const userId = await revokeTokensOf(tx, apiKeyId);
      if (!userId) return;
      await recordEvent(tx, request, { type: 'api_key.tokens_revoked', outcome: 'success', userId, apiKeyId });
    }),
});

export type OAuthStore = ReturnType<typeof makeOAuthStore>;
