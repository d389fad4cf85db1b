import type { Audit } from '../../core/audit/audit.ts';
import { type Authorization, requireOwnerOrAdmin } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { NotFound } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { revokeSession } from '../../core/sessions/sessions.sql.ts';
import { parseId, type SessionId, type UserId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';

export interface RevokeSessionDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
}

/** Revokes a live session. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeRevokeSession =
  ({ db, authorize, audit }: RevokeSessionDeps) =>
  (principal: Principal, sessionId: SessionId, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      const authorized = await authorize(tx, principal);
      const session = await tx.session.findUnique({ where: { id: sessionId }, select: { userId: true } });
      const ownerId = session ? parseId<UserId>(session.userId) : undefined;
      await requireOwnerOrAdmin(tx, authorized, { kind: 'session', ownerId }, 'users:write');
      const reason = 'ended_by_user';
      if (!(await revokeSession(tx, sessionId, reason))) throw new NotFound('session');
      await audit.record(tx, request, { type: 'session.ended', reason, actor: principal, userId: ownerId, sessionId });
    });
