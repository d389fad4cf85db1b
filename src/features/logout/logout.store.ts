import { actorOf, recordEvent } from '../../core/audit/audit.store.ts';
import { actAsCaller } from '../../core/authorization/caller.store.ts';
import { revokeSession, revokeSessionsOf } from '../../core/sessions/sessions.store.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { SessionId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';

export const makeLogoutStore = (db: Database) => ({
  endSession: (id: SessionId, request: RequestInfo): Promise<void> =>
    db.$transaction(async (tx) => {
      const userId = await revokeSession(tx, id, 'logout');
      if (!userId) return;
      await recordEvent(tx, request, { type: 'logout', outcome: 'success', actorId: userId, userId, sessionId: id });
    }),

  /** Undefined where the caller's own session is dead already. */
  endAll: (principal: Principal, request: RequestInfo): Promise<boolean | undefined> =>
    actAsCaller(db, principal, async (tx) => {
      const { userId } = principal;
      await revokeSessionsOf(tx, userId, 'logout_all');
      await recordEvent(tx, request, { type: 'logout.all', outcome: 'success', ...actorOf(principal), userId });
      return true;
    }),
});

export type LogoutStore = ReturnType<typeof makeLogoutStore>;
