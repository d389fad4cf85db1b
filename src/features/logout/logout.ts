import { revokeApiKeysOf } from '../../core/api-keys/api-keys.ts';
import type { Audit } from '../../core/audit/audit.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { InsufficientScope } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { RefreshToken } from '../../core/sessions/refresh-token.ts';
import { lockUserOfSession, revokeSession, revokeSessionsOf } from '../../core/sessions/sessions.sql.ts';
import type { SessionId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';

export interface EndSessionDeps {
  db: Database;
  audit: Audit;
}

export interface LogoutAllDeps extends EndSessionDeps {
  authorize: Authorization['authorize'];
}

/** Revokes a session on behalf of its user. Sessions that have ended stay as they are. */
export type EndSession = (id: SessionId, request: RequestInfo) => Promise<void>;

export const makeEndSession =
  ({ db, audit }: EndSessionDeps): EndSession =>
  (sessionId, request) =>
    db.transaction(async (tx) => {
      await lockUserOfSession(tx, sessionId);
      const userId = await revokeSession(tx, sessionId, 'logout');
      if (userId) await audit.record(tx, request, { type: 'logout', actor: { userId }, userId, sessionId });
    });

/**
 * Revokes the session of a genuine refresh token, even of a spent one, because clients that lost a response must be able to log out.
 * `token` is undefined if this service did not issue it; then nothing happens, and the response is the same.
 */
export const makeLogout =
  (deps: EndSessionDeps) =>
  async (token: RefreshToken | undefined, request: RequestInfo): Promise<void> => {
    if (token) await makeEndSession(deps)(token.sessionId, request);
  };

const apiKeyDetail = 'API keys cannot revoke all API keys. Log in for that.';

/** Revokes every session of the principal's user, and optionally every API key. @throws InvalidAccessToken, InsufficientScope */
export const makeLogoutAll =
  ({ db, audit, authorize }: LogoutAllDeps) =>
  (principal: Principal, { revokesApiKeys }: { revokesApiKeys: boolean }, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      // Requires no scope, so that users who lost a role can still log out.
      const { userId } = await authorize(tx, principal);
      const reason = 'logout_all';
      // Otherwise a leaked API key could stop every other program of its owner.
      if (revokesApiKeys && principal.apiKeyId !== undefined) throw new InsufficientScope('', 'API key', apiKeyDetail);
      await revokeSessionsOf(tx, userId, reason);
      if (revokesApiKeys) await revokeApiKeysOf(tx, audit, request, { userId, reason, actor: principal });
      await audit.record(tx, request, { type: 'logout.all', actor: principal, userId });
    });
