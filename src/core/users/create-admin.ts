import type { Clock } from '../../lib/clock.ts';
import { StartupError } from '../../lib/errors.ts';
import { newId, type UserId } from '../../lib/ids.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import { apiKeysNotice, revokeApiKeysOf } from '../api-keys/api-keys.ts';
import { findLiveApiKeys, type NamedApiKey } from '../api-keys/api-keys.sql.ts';
import type { Audit } from '../audit/audit.ts';
import { lockGrants } from '../authorization/authorization.sql.ts';
import { adminRole } from '../authorization/rules.ts';
import { exceedsTokenBudget, findGrantsOfRoles } from '../authorization/token-budget.ts';
import type { Outbox } from '../email/outbox.ts';
import type { IssuedToken, OneTimeTokens } from '../one-time-tokens/one-time-tokens.ts';
import { revokeSessionsOf } from '../sessions/sessions.sql.ts';
import { lockAccount } from './create-admin.sql.ts';
import type { EmailAddress } from './email-address.ts';
import { createUnusableHash } from './new-password.ts';

export interface CreateAdminDeps {
  db: Database;
  audit: Audit;
  clock: Clock;
  outbox: Outbox;
  oneTimeTokens: OneTimeTokens;
}

export interface NewAdmin {
  email: EmailAddress;
  /** Used only for a new account. */
  displayName: string;
  /** Whether an existing account keeps its password, sessions and API keys, because the operator knows who has them. */
  keepsCredentials: boolean;
}

/** What an existing account could be accessed with. */
export interface StrippedCredentials {
  hadPassword: boolean;
  sessions: number;
  apiKeys: readonly NamedApiKey[];
}

export type AdminOutcome =
  /** `token` sets the password; undefined if the account has one. */
  | { kind: 'created' | 'already_admin'; token: IssuedToken | undefined }
  /** `stripped` is undefined if the credentials were kept. */
  | {
      kind: 'granted';
      token: IssuedToken | undefined;
      stripped: StrippedCredentials | undefined;
      emailVerified: boolean;
    }
  /** Nothing was changed. `reserved`: the email address belongs to an account that can still undo a change of it. */
  | { kind: 'disabled' | 'reserved' | 'too_many_scopes' };

/**
 * Makes the account with an email address an administrator. Creates the account if it does not exist. An existing account loses its
 * credentials first: anyone may have registered the address, and its owner may have confirmed it with one click.
 */
export const makeCreateAdmin =
  (deps: CreateAdminDeps) =>
  ({ email, displayName, keepsCredentials }: NewAdmin): Promise<AdminOutcome> =>
    deps.db.transaction(async (tx) => {
      const { audit, clock, oneTimeTokens } = deps;
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
      if (!isAdmin) {
        const held = await tx.userRole.findMany({ where: { userId } });
        const grants = await findGrantsOfRoles(tx, [...held.map(({ role }) => role), adminRole]);
        if (exceedsTokenBudget(grants)) return { kind: 'too_many_scopes' };
      }
      const strips = !isNew && !isAdmin && !keepsCredentials;
      const stripped = strips ? await stripCredentials(deps, tx, userId, hasPassword) : undefined;
      const token = hasPassword && !strips ? undefined : await oneTimeTokens.issue(tx, userId, 'password_reset', email);
      if (isAdmin) return { kind: 'already_admin', token };
      await tx.userRole.create({ data: grant });
      await audit.record(tx, 'system', { type: 'role.granted', reason: 'cli', userId, role: adminRole });
      if (isNew) return { kind: 'created', token };
      await notify(deps, tx, account, { email, token, stripped });
      return { kind: 'granted', token, stripped, emailVerified };
    });

/** Removes everything that gives access to an account, and every link that could give it back. */
async function stripCredentials(
  { audit }: CreateAdminDeps,
  tx: Transaction,
  userId: UserId,
  hadPassword: boolean,
): Promise<StrippedCredentials> {
  const reason = 'reclaimed';
  await tx.user.update({ where: { id: userId }, data: { passwordHash: createUnusableHash() } });
  await tx.oneTimeToken.deleteMany({ where: { userId } });
  const sessions = await revokeSessionsOf(tx, userId, reason);
  const apiKeys = await revokeApiKeysOf(tx, audit, 'system', { userId, reason });
  await audit.record(tx, 'system', { type: 'account.reclaimed', reason: 'cli', userId });
  return { hadPassword, sessions, apiKeys };
}

async function notify(
  { outbox }: CreateAdminDeps,
  tx: Transaction,
  { id, displayName: name }: { id: UserId; displayName: string },
  granted: { email: EmailAddress; token: IssuedToken | undefined; stripped: StrippedCredentials | undefined },
): Promise<void> {
  const { email: to, token, stripped } = granted;
  const apiKeys = apiKeysNotice(stripped?.apiKeys ?? (await findLiveApiKeys(tx, id)), stripped !== undefined);
  await outbox.enqueue(tx, id, { kind: 'admin_granted', to, name, apiKeys, ...(stripped && token && { token }) });
}
