import { actorOf, recordEvent } from '../../core/audit/audit.store.ts';
import type { Outbox } from '../../core/mails/outbox.ts';
import { voidTokens } from '../../core/one-time-tokens/one-time-tokens.store.ts';
import { actAsCaller, isCaller } from '../../core/sessions/caller.store.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.store.ts';
import { joinGrants } from '../../core/users/grants.store.ts';
import { mustStay } from '../../core/users/roles.store.ts';
import type { UserRow } from '../../core/users/user.ts';
import { addresseeOf, replaceHash, userColumns } from '../../core/users/users.store.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { Database } from '../../platform/postgres.ts';

export const makeMyAccountStore = (db: Database, outbox: Outbox) => ({
  async profile(caller: Caller): Promise<UserRow | undefined> {
    const [row] = await db.$queryRaw<UserRow[]>`
      SELECT ${userColumns} FROM users AS u ${joinGrants} WHERE ${isCaller(caller)}`;
    return row;
  },

  async rename(caller: Caller, displayName: string): Promise<UserRow | undefined> {
    const [row] = await db.$queryRaw<UserRow[]>`
      WITH u AS (
        UPDATE users AS u SET display_name = ${displayName}, updated_at = clock_timestamp()
        WHERE ${isCaller(caller)}
        RETURNING u.*
      )
      SELECT ${userColumns} FROM u ${joinGrants}`;
    return row;
  },

  /**
   * The new hash, the end of every other session and of every link that was mailed, and the notice, together. False
   * where the password has changed since it was verified; undefined where the caller's session is dead.
   */
  changePassword: (caller: Caller, verified: string, hash: string, client: Client): Promise<boolean | undefined> =>
    actAsCaller(db, caller, async (tx) => {
      const { userId, sessionId } = caller;
      if (!(await replaceHash(tx, userId, verified, hash))) return false;
      await revokeSessionsOf(tx, userId, 'password_changed', sessionId);
      await voidTokens(tx, userId);
      const { email: to, displayName: name } = await addresseeOf(tx, userId);
      await outbox.post(tx, userId, { kind: 'password_changed', to, name });
      const facts = { ...actorOf(caller), userId };
      await recordEvent(tx, client, { type: 'password.changed', outcome: 'success', ...facts });
      return true;
    }),

  /** The account and all that hangs on it; the audit trail keeps ids. Answers like `changePassword`, or `last_admin`. */
  erase: (caller: Caller, verified: string, client: Client): Promise<boolean | 'last_admin' | undefined> =>
    actAsCaller(db, caller, async (tx) => {
      const { userId } = caller;
      if (await mustStay(tx, userId)) return 'last_admin';
      const erased = await tx.$executeRaw`
        DELETE FROM users WHERE id = ${userId}::uuid AND password_hash = ${verified}`;
      if (erased === 0) return false;
      const facts = { ...actorOf(caller), userId };
      await recordEvent(tx, client, { type: 'account.deleted', outcome: 'success', ...facts });
      return true;
    }),
});

export type MyAccountStore = ReturnType<typeof makeMyAccountStore>;
