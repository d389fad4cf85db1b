import { recordEvent } from '../../core/audit/audit.store.ts';
import { actAsCaller, isLive, revokeSessionsOf } from '../../core/sessions/sessions.store.ts';
import { joinGrants } from '../../core/users/grants.store.ts';
import type { UserRow } from '../../core/users/user.ts';
import { replaceHash, userColumns } from '../../core/users/users.store.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { Database } from '../../platform/postgres.ts';

/** The account behind a live session, with the hash to check its password against. */
export interface OwnAccount {
  email: string;
  displayName: string;
  passwordHash: string;
}

export const makeMyAccountStore = (db: Database) => ({
  async profile({ sessionId }: Caller): Promise<UserRow | undefined> {
    const [row] = await db.$queryRaw<UserRow[]>`
      SELECT ${userColumns} FROM sessions AS s JOIN users AS u ON u.id = s.user_id ${joinGrants}
      WHERE s.id = ${sessionId}::uuid AND u.is_active AND ${isLive}`;
    return row;
  },

  async rename({ sessionId }: Caller, displayName: string): Promise<UserRow | undefined> {
    const [row] = await db.$queryRaw<UserRow[]>`
      WITH u AS (
        UPDATE users SET display_name = ${displayName}, updated_at = clock_timestamp()
        FROM sessions AS s
        WHERE s.id = ${sessionId}::uuid AND users.id = s.user_id AND users.is_active AND ${isLive}
        RETURNING users.*
      )
      SELECT ${userColumns} FROM u ${joinGrants}`;
    return row;
  },

  async account({ sessionId }: Caller): Promise<OwnAccount | undefined> {
    const [row] = await db.$queryRaw<OwnAccount[]>`
      SELECT u.email, u.display_name AS "displayName", u.password_hash AS "passwordHash"
      FROM sessions AS s JOIN users AS u ON u.id = s.user_id
      WHERE s.id = ${sessionId}::uuid AND u.is_active AND ${isLive}`;
    return row;
  },

  /**
   * The new hash and the end of every other session, together. False where the password has changed since it was
   * verified; undefined where the caller's session is dead.
   */
  changePassword: (caller: Caller, verified: string, hash: string, client: Client): Promise<boolean | undefined> =>
    actAsCaller(db, caller, async (tx) => {
      const { userId, sessionId } = caller;
      if (!(await replaceHash(tx, userId, verified, hash))) return false;
      await revokeSessionsOf(tx, userId, 'password_changed', sessionId);
      const facts = { actorId: userId, userId, sessionId };
      await recordEvent(tx, client, { type: 'password.changed', outcome: 'success', ...facts });
      return true;
    }),

  /** The account and all that hangs on it; the audit trail keeps ids. Answers like `changePassword`. */
  erase: (caller: Caller, verified: string, client: Client): Promise<boolean | undefined> =>
    actAsCaller(db, caller, async (tx) => {
      const { userId, sessionId } = caller;
      const erased = await tx.$executeRaw`
        DELETE FROM users WHERE id = ${userId}::uuid AND password_hash = ${verified}`;
      if (erased === 0) return false;
      const facts = { actorId: userId, userId, sessionId };
      await recordEvent(tx, client, { type: 'account.deleted', outcome: 'success', ...facts });
      return true;
    }),
});

export type MyAccountStore = ReturnType<typeof makeMyAccountStore>;
