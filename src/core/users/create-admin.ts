import type { Clock } from '../../lib/clock.ts';
import { StartupError } from '../../lib/errors.ts';
import { newId, type UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import { lockGrants } from '../authorization/authorization.sql.ts';
import { adminRole } from '../authorization/rules.ts';
import { exceedsTokenBudget, findGrantsOf } from '../authorization/token-budget.ts';
import { lockAccount } from './create-admin.sql.ts';
import type { EmailAddress } from './email-address.ts';
import { createUnusableHash } from './new-password.ts';

export interface CreateAdminDeps {
  db: Database;
  audit: Audit;
  clock: Clock;
  /** Issues a link to set the password. */
  issueLink: (tx: Transaction, userId: UserId, email: EmailAddress) => Promise<string>;
}

export interface NewAdmin {
  email: EmailAddress;
  /** Used only for a new account. */
  displayName: string;
  /** Whether an existing account may have an unverified email address, so that anyone may have registered it. */
  allowUnverified: boolean;
}

export type AdminOutcome =
  /** `link` sets the password; undefined if the account has one. */
  | { kind: 'created' | 'granted' | 'already_admin'; link: string | undefined }
  /** Nothing was changed. `reserved`: the email address belongs to an account that can still undo a change of it. */
  | { kind: 'disabled' | 'reserved' | 'unverified' | 'too_many_scopes' };

/** Makes the account with an email address an administrator. Creates the account if it does not exist. */
export const makeCreateAdmin =
  ({ db, audit, clock, issueLink }: CreateAdminDeps) =>
  ({ email, displayName, allowUnverified }: NewAdmin): Promise<AdminOutcome> =>
    db.transaction(async (tx) => {
      const id = newId<UserId>(clock.nowMs());
      const newUser = { id, email, displayName, passwordHash: createUnusableHash() };
      const isNew = (await tx.user.createMany({ data: [newUser], skipDuplicates: true })).count > 0;
      const account = await lockAccount(tx, email);
      if (!account) throw new StartupError(`The account ${email} was deleted concurrently. Run the command again.`);
      const { id: userId, isActive, emailVerified, hasPassword, isReserved } = account;
      if (!isActive) return { kind: 'disabled' };
      if (isNew && isReserved) {
        await tx.user.delete({ where: { id } });
        return { kind: 'reserved' };
      }
      if (isNew) {
        await tx.userRole.create({ data: { userId, role: 'user' } });
        await audit.record(tx, 'system', { type: 'user.created', reason: 'cli', userId });
      }

      await lockGrants(tx);
      const grant = { userId, role: adminRole };
      const isAdmin = (await tx.userRole.findUnique({ where: { userId_role: grant } })) !== null;
      // Without a verified email address, anyone may have registered the account. A link to set the password verifies it.
      if (hasPassword && !emailVerified && !isAdmin && !allowUnverified) return { kind: 'unverified' };
      if (!isAdmin) {
        const held = await tx.userRole.findMany({ where: { userId } });
        const grants = await findGrantsOf(tx, [...held.map(({ role }) => role), adminRole]);
        if (exceedsTokenBudget(grants)) return { kind: 'too_many_scopes' };
        await tx.userRole.create({ data: grant });
        await audit.record(tx, 'system', { type: 'role.granted', reason: 'cli', userId, role: adminRole });
      }
      const link = hasPassword ? undefined : await issueLink(tx, userId, email);
      if (isNew) return { kind: 'created', link };
      return { kind: isAdmin ? 'already_admin' : 'granted', link };
    });
