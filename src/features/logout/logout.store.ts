import { actorOf, recordEvent } from '../../core/audit/audit.store.ts';
import { actAsCaller } from '../../core/sessions/caller.store.ts';
import { revokeSession, revokeSessionsOf } from '../../core/sessions/sessions.store.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { SessionId } from '../../kernel/id.ts';
import type { Database } from '../../platform/postgres.ts';

export const makeLogoutStore = (db: Database) => ({
  endSession: (id: SessionId, client: Client): Promise<void> =>
    db.$transaction(async (tx) => {
      const userId = await revokeSession(tx, id, 'logout');
      if (!userId) return;
      await recordEvent(tx, client, { type: 'logout', outcome: 'success', actorId: userId, userId, sessionId: id });
    }),

  /** Undefined where the caller's own session is dead already. */
  endAll: (caller: Caller, client: Client): Promise<boolean | undefined> =>
    actAsCaller(db, caller, async (tx) => {
      const { userId } = caller;
      await revokeSessionsOf(tx, userId, 'logout_all');
      await recordEvent(tx, client, { type: 'logout.all', outcome: 'success', ...actorOf(caller), userId });
      return true;
    }),
});

export type LogoutStore = ReturnType<typeof makeLogoutStore>;
