import { recordEvent } from '../../core/audit/audit.store.ts';
import { bear, type Birth, endReplaced } from '../../core/sessions/sessions.store.ts';
import type { LiveSession } from '../../core/tokens/tokens.ts';
import type { Email } from '../../core/users/email.ts';
import { type Credentials, findCredentials, replaceHash } from '../../core/users/users.store.ts';
import type { Client } from '../../http/context.ts';
import type { SessionId, UserId } from '../../kernel/id.ts';
import type { Database } from '../../platform/postgres.ts';

export interface VerifiedLogin {
  birth: Birth;
  /** A better hash of the same password, where the one that was verified is weak. */
  betterHash: string | undefined;
  /** The sessions that the login was called with; they end. */
  replaces: readonly SessionId[];
  client: Client;
}

export const makePasswordLoginStore = (db: Database) => ({
  find: (email: Email): Promise<Credentials | undefined> => findCredentials(db, email),

  /** Undefined where the password, or its hash, has changed since it was verified. */
  open: ({ birth, betterHash, replaces, client }: VerifiedLogin): Promise<LiveSession | undefined> =>
    db.$transaction(async (tx) => {
      const { userId, verifiedHash } = birth;
      if (betterHash && !(await replaceHash(tx, userId, verifiedHash, betterHash))) return undefined;
      const session = await bear(tx, { ...birth, verifiedHash: betterHash ?? verifiedHash });
      if (!session) return undefined;
      for (const replaced of replaces) await endReplaced(tx, replaced, userId, client);
      const facts = { actorId: userId, userId, sessionId: session.id };
      await recordEvent(tx, client, { type: 'login', outcome: 'success', ...facts });
      return session;
    }),

  refuse: (userId: UserId | undefined, reason: string, client: Client): Promise<void> =>
    recordEvent(db, client, { type: 'login', outcome: 'failure', reason, userId }),
});

export type PasswordLoginStore = ReturnType<typeof makePasswordLoginStore>;
