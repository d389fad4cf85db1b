import { actorOf, recordEvent } from '../../core/audit/audit.store.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { voidTokens } from '../../core/one-time-tokens/one-time-tokens.store.ts';
import { actAsCaller, isCaller } from '../../core/authorization/caller.store.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.store.ts';
import { joinGrants } from '../../core/authorization/fragments.sql.ts';
import { isLastActiveAdmin } from '../../core/authorization/authorize.ts';
import type { UserRow } from '../../core/users/user.ts';
import { addresseeOf, replaceHash, userColumns } from '../../core/users/users.store.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { Database } from '../../platform/postgres.ts';

export const makeMyAccountStore = (db: Database, outbox: Outbox) => ({
  async profile(principal: Principal): Promise<UserRow | undefined> {
    const [row] = await db.$queryRaw<UserRow[]>`
      SELECT ${userColumns} FROM users AS u ${joinGrants} WHERE ${isCaller(principal)}`;
    return row;
  },

  async rename(principal: Principal, displayName: string): Promise<UserRow | undefined> {
    const [row] = await db.$queryRaw<UserRow[]>`
      WITH u AS (
        UPDATE users AS u SET display_name = ${displayName}, updated_at = clock_timestamp()
        WHERE ${isCaller(principal)}
        RETURNING u.*
      )
      SELECT ${userColumns} FROM u ${joinGrants}`;
    return row;
  },

  /**
   * The new hash, the end of every other session and of every link that was mailed, and the notice, together. False
   * where the password has changed since it was verified; undefined where the caller's session is dead.
   */
  changePassword: (
    principal: Principal,
    verified: string,
    hash: string,
    request: RequestInfo,
  ): Promise<boolean | undefined> =>
    actAsCaller(db, principal, async (tx) => {
      const { userId, sessionId } = principal;
      if (!(await replaceHash(tx, userId, verified, hash))) return false;
      await revokeSessionsOf(tx, userId, 'password_changed', sessionId);
      await voidTokens(tx, userId);
      const { email: to, displayName: name } = await addresseeOf(tx, userId);
      await outbox.post(tx, userId, { kind: 'password_changed', to, name });
      const facts = { ...actorOf(principal), userId };
      await recordEvent(tx, request, { type: 'password.changed', outcome: 'success', ...facts });
      return true;
    }),

  /** The account and all that hangs on it; the audit trail keeps ids. Answers like `changePassword`, or `last_admin`. */
  erase: (principal: Principal, verified: string, request: RequestInfo): Promise<boolean | 'last_admin' | undefined> =>
    actAsCaller(db, principal, async (tx) => {
      const { userId } = principal;
      if (await isLastActiveAdmin(tx, userId)) return 'last_admin';
      const erased = await tx.$executeRaw`
        DELETE FROM users WHERE id = ${userId}::uuid AND password_hash = ${verified}`;
      if (erased === 0) return false;
      const facts = { ...actorOf(principal), userId };
      await recordEvent(tx, request, { type: 'account.deleted', outcome: 'success', ...facts });
      return true;
    }),
});

export type MyAccountStore = ReturnType<typeof makeMyAccountStore>;
