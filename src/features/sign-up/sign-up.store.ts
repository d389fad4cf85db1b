import { recordEvent } from '../../core/audit/audit.store.ts';
import { bear, type Birth, endReplaced } from '../../core/sessions/sessions.store.ts';
import type { LiveSession } from '../../core/tokens/tokens.ts';
import type { Email } from '../../core/users/email.ts';
import { joinGrants } from '../../core/users/grants.store.ts';
import type { UserRow } from '../../core/users/user.ts';
import { userColumns } from '../../core/users/users.store.ts';
import type { Client } from '../../http/context.ts';
import type { SessionId, UserId } from '../../kernel/id.ts';
import type { Database } from '../../platform/postgres.ts';

export interface NewAccount {
  id: UserId;
  email: Email;
  displayName: string;
  passwordHash: string;
}

export type SignUpOutcome = { kind: 'registered'; user: UserRow; session: LiveSession } | { kind: 'email_taken' };

export const makeSignUpStore = (db: Database) => ({
  /** The account, its role, its first session and the event, or nothing. The unique index decides who has an address. */
  register: (
    account: NewAccount,
    birth: Omit<Birth, 'userId' | 'verifiedHash'>,
    replaces: SessionId | undefined,
    client: Client,
  ): Promise<SignUpOutcome> =>
    db.$transaction(async (tx) => {
      const { id, email, displayName, passwordHash } = account;
      const inserted = await tx.$executeRaw`
        INSERT INTO users (id, email, display_name, password_hash)
        VALUES (${id}::uuid, ${email}, ${displayName}, ${passwordHash})
        ON CONFLICT (email) DO NOTHING`;
      if (inserted === 0) return { kind: 'email_taken' };
      await tx.$executeRaw`INSERT INTO user_roles (user_id, role) VALUES (${id}::uuid, 'user')`;
      const session = await bear(tx, { ...birth, userId: id, verifiedHash: passwordHash });
      const [user] = await tx.$queryRaw<UserRow[]>`
        SELECT ${userColumns} FROM users AS u ${joinGrants} WHERE u.id = ${id}::uuid`;
      if (!session || !user) throw new Error('an account that was just made is not there');
      const facts = { actorId: id, userId: id, sessionId: session.id };
      if (replaces) await endReplaced(tx, replaces, id, client);
      await recordEvent(tx, client, { type: 'account.registered', outcome: 'success', ...facts });
      return { kind: 'registered', user, session };
    }),
});

export type SignUpStore = ReturnType<typeof makeSignUpStore>;
