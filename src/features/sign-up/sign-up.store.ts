import { recordEvent } from '../../core/audit/audit.store.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { bear, type Birth, endReplaced } from '../../core/sessions/sessions.store.ts';
import type { LiveSession } from '../../core/tokens/issue-tokens.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { isReservedEmail } from '../../core/users/email-reservation.sql.ts';
import { joinGrants } from '../../core/authorization/fragments.sql.ts';
import type { UserRow } from '../../core/users/user.ts';
import { selectUser } from '../../core/users/users.sql.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { SessionId, UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';

export interface NewAccount {
  id: UserId;
  email: EmailAddress;
  displayName: string;
  passwordHash: string;
}

export type SignUpOutcome = { kind: 'registered'; user: UserRow; session: LiveSession } | { kind: 'email_taken' };

export const makeSignUpStore = (db: Database, outbox: Outbox, verifiesEmail: boolean) => ({
  /** The account, its role, its first session, the event and what leads to a link, or nothing. */
  register: (
    account: NewAccount,
    birth: Omit<Birth, 'userId' | 'verifiedHash'>,
    replaces: SessionId | undefined,
    request: RequestInfo,
  ): Promise<SignUpOutcome> =>
    db.$transaction(async (tx) => {
      const { id, passwordHash } = account;
      if (!(await makeAccount(tx, account))) return { kind: 'email_taken' };
      const session = await bear(tx, { ...birth, userId: id, verifiedHash: passwordHash });
      const [user] = await tx.$queryRaw<UserRow[]>`
        SELECT ${selectUser} FROM users AS u ${joinGrants} WHERE u.id = ${id}::uuid`;
      if (!session || !user) throw new Error('an account that was just made is not there');
      const facts = { actorId: id, userId: id, sessionId: session.id };
      if (replaces) await endReplaced(tx, replaces, id, request);
      await recordEvent(tx, request, { type: 'account.registered', outcome: 'success', ...facts });
      if (verifiesEmail) await askForLetter(tx, outbox, account, request);
      return { kind: 'registered', user, session };
    }),

  /** The account without a session, or none, in the same statements: nobody learns whether the address was taken. */
  enrol: (account: NewAccount, request: RequestInfo): Promise<void> =>
    db.$transaction(async (tx) => {
      const made = await makeAccount(tx, account);
      await recordEvent(tx, request, {
        type: 'account.registered',
        ...(made ? { outcome: 'success', userId: account.id } : { outcome: 'failure', reason: 'email_taken' }),
      });
      await askForLetter(tx, outbox, account, request);
    }),
});

export type SignUpStore = ReturnType<typeof makeSignUpStore>;

/** The account with its role; false where the address is taken. The unique index decides who has it. */
async function makeAccount(tx: Transaction, { id, email, displayName, passwordHash }: NewAccount): Promise<boolean> {
  const inserted = await tx.$executeRaw`
    INSERT INTO users (id, email, display_name, password_hash)
    VALUES (${id}::uuid, ${email}, ${displayName}, ${passwordHash})
    ON CONFLICT (email) DO NOTHING`;
  const granted = await tx.$executeRaw`
    INSERT INTO user_roles (user_id, role)
    SELECT id, 'user' FROM users WHERE id = ${id}::uuid AND NOT ${isReservedEmail(email)}`;
  if (inserted > granted) await tx.$executeRaw`DELETE FROM users WHERE id = ${id}::uuid`;
  return granted === 1;
}

const askForLetter = (
  tx: Transaction,
  outbox: Outbox,
  { id, email }: NewAccount,
  request: RequestInfo,
): Promise<void> => outbox.enqueueRequest(tx, { kind: 'registration', email, userId: id, source: request });
