import { recordEvent } from '../../core/audit/audit.store.ts';
import { bear, type Birth, endReplaced } from '../../core/sessions/sessions.store.ts';
import type { LiveSession } from '../../core/tokens/issue-tokens.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { replacePasswordHash } from '../../core/users/new-password.ts';
import { type Credentials, findCredentials } from '../../core/users/users.sql.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { SessionId, UserId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';

export interface VerifiedLogin {
  birth: Birth;
  /** A better hash of the same password, where the one that was verified is weak. */
  betterHash: string | undefined;
  /** The sessions that the login was called with; they end. */
  replaces: readonly SessionId[];
  request: RequestInfo;
}

export const makePasswordLoginStore = (db: Database) => ({
  find: (email: EmailAddress): Promise<Credentials | undefined> => findCredentials(db, email),

  /** Undefined where the password, or its hash, has changed since it was verified. */
  open: ({ birth, betterHash, replaces, request }: VerifiedLogin): Promise<LiveSession | undefined> =>
    db.$transaction(async (tx) => {
      const { userId, verifiedHash } = birth;
      if (betterHash && !(await replacePasswordHash(tx, userId, verifiedHash, betterHash))) return undefined;
      const session = await bear(tx, { ...birth, verifiedHash: betterHash ?? verifiedHash });
      if (!session) return undefined;
      for (const replaced of replaces) await endReplaced(tx, replaced, userId, request);
      const facts = { actorId: userId, userId, sessionId: session.id };
      await recordEvent(tx, request, { type: 'login', outcome: 'success', ...facts });
      return session;
    }),

  refuse: (userId: UserId | undefined, reason: string, request: RequestInfo): Promise<void> =>
    recordEvent(db, request, { type: 'login', outcome: 'failure', reason, userId }),
});

export type PasswordLoginStore = ReturnType<typeof makePasswordLoginStore>;
