import { revokeApiKeysOf } from '../../core/api-keys/api-keys.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.sql.ts';
import type { UserId } from '../../lib/ids.ts';
import { type ChangeUserDeps, authorizeTargetUser } from './target-user.ts';

/** Revokes every session of a user, and optionally every API key. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeLogoutUser =
  ({ db, authorize, audit }: ChangeUserDeps) =>
  (
    principal: Principal,
    id: UserId,
    { revokesApiKeys }: { revokesApiKeys: boolean },
    request: RequestInfo,
  ): Promise<void> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['users:write'], target: id });
      await authorizeTargetUser(tx, admin, id);
      const reason = 'ended_by_admin';
      await revokeSessionsOf(tx, id, reason);
      if (revokesApiKeys) await revokeApiKeysOf(tx, audit, request, { userId: id, reason, actor: principal });
      await audit.record(tx, request, { type: 'user.logged_out', actor: principal, userId: id });
    });
