import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.sql.ts';
import type { UserId } from '../../lib/ids.ts';
import { type ChangeUserDeps, authorizeTargetUser } from './target-user.ts';

/** Revokes every session of a user. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeLogoutUser =
  ({ db, authorize, audit }: ChangeUserDeps) =>
  (principal: Principal, id: UserId, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['users:write'], target: id });
      await authorizeTargetUser(tx, admin, id);
      await revokeSessionsOf(tx, id, 'ended_by_admin');
      await audit.record(tx, request, { type: 'user.logged_out', actor: principal, userId: id });
    });
