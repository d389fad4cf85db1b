import { actorOf, type AuditEvent, recordEvent } from '../../core/audit/audit.store.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { voidTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import { requireAuthority, requireNotMightier } from '../../core/authorization/authority.ts';
import {
  actAsAdministrator,
  type Administrator,
  readAsAdministrator,
} from '../../core/authorization/administrator.store.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.store.ts';
import type { LiftLockout } from '../../core/users/check-password.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { joinGrants } from '../../core/authorization/fragments.sql.ts';
import { adminRole } from '../../core/authorization/rules.ts';
import { isLastActiveAdmin } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { UserId } from '../../lib/ids.ts';
import { type Database, type Transaction } from '../../platform/postgres.ts';
import { sql } from '../../platform/sql.ts';
import { type AdminUserRow, adminUserColumns, findEntries, type Place } from './user-pages.store.ts';

export interface UserChange {
  isActive?: boolean | undefined;
  displayName?: string | undefined;
  emailVerified?: boolean | undefined;
  /** All that the user is to have. */
  roles?: readonly string[] | undefined;
}

export type ChangeOutcome = AdminUserRow | 'absent' | 'last_admin' | { unknownRoles: string[] };

const userById = (id: UserId) => sql`SELECT ${adminUserColumns} FROM users AS u ${joinGrants} WHERE u.id = ${id}::uuid`;

async function findUser(tx: Transaction, id: UserId): Promise<AdminUserRow | undefined> {
  const [row] = await tx.$queryRaw<AdminUserRow[]>(userById(id));
  return row;
}

/** The roles that come and go. @throws InsufficientScope for one that gives what the administrator may not give */
async function rolesToChange(tx: Transaction, administrator: Administrator, had: string[], wanted: readonly string[]) {
  const added = wanted.filter((role) => !had.includes(role));
  const removed = had.filter((role) => !wanted.includes(role));
  const known = await tx.$queryRaw<{ name: string; scopes: string[] }[]>`
    SELECT name, scopes FROM roles WHERE name = ANY (${[...added, ...removed]})`;
  requireAuthority(
    administrator,
    known.flatMap(({ scopes }) => scopes),
  );
  return { added, removed, unknown: added.filter((role) => !known.some(({ name }) => name === role)) };
}

async function exchangeRoles(tx: Transaction, id: UserId, added: string[], removed: string[]): Promise<void> {
  if (removed.length > 0)
    await tx.$executeRaw`DELETE FROM user_roles WHERE user_id = ${id}::uuid AND role = ANY (${removed})`;
  if (added.length > 0)
    await tx.$executeRaw`INSERT INTO user_roles (user_id, role) SELECT ${id}::uuid, unnest(${added}::text[])`;
}

/** Ends every session and every link of somebody whose row this transaction holds; their API keys rest. */
async function shutOut(tx: Transaction, id: UserId): Promise<void> {
  await revokeSessionsOf(tx, id, 'account_disabled');
  await voidTokens(tx, id);
}

/** What becomes of a user; each returns undefined where the caller is dead, and `absent` where there is no such user. */
export const makeAdminUsersStore = (db: Database, outbox: Outbox, liftLockout: LiftLockout) => {
  type Act<Result> = (tx: Transaction, target: AdminUserRow, administrator: Administrator) => Promise<Result>;

  const actOn = <Result>(
    principal: Principal,
    id: UserId,
    { needs = [], changesGrants = false }: { needs?: readonly string[]; changesGrants?: boolean },
    act: Act<Result>,
  ): Promise<Result | 'absent' | undefined> =>
    actAsAdministrator(
      db,
      principal,
      { needs: ['users:write', ...needs], on: id, changesGrants },
      async (tx, administrator) => {
        const target = await findUser(tx, id);
        if (!target) return 'absent';
        requireNotMightier(administrator, target.heldScopes);
        return act(tx, target, administrator);
      },
    );

  const tell = (
    tx: Transaction,
    principal: Principal,
    request: RequestInfo,
    event: Pick<AuditEvent, 'type' | 'userId' | 'role'>,
  ) => recordEvent(tx, request, { outcome: 'success', ...actorOf(principal), ...event });

  return {
    list: (principal: Principal, search: { query: string | undefined; after: Place | undefined; limit: number }) =>
      findEntries(db, principal, search),

    async find(principal: Principal, id: UserId): Promise<AdminUserRow | 'absent' | undefined> {
      const rows = await readAsAdministrator<AdminUserRow>(db, principal, 'users:read', {
        page: userById(id),
        order: sql`page.id`,
      });
      return rows && (rows[0] ?? 'absent');
    },

    change(
      principal: Principal,
      id: UserId,
      wanted: UserChange,
      request: RequestInfo,
    ): Promise<ChangeOutcome | undefined> {
      const { isActive, displayName, emailVerified, roles } = wanted;
      const needs = roles ? ['roles:write'] : [];
      const changesGrants = roles !== undefined || isActive !== undefined;
      return actOn<ChangeOutcome>(principal, id, { needs, changesGrants }, async (tx, target, administrator) => {
        const { added, removed, unknown } = await rolesToChange(tx, administrator, target.roles, roles ?? target.roles);
        if (unknown.length > 0) return { unknownRoles: unknown };
        if ((isActive === false || removed.includes(adminRole)) && (await isLastActiveAdmin(tx, id)))
          return 'last_admin';
        await tx.$executeRaw`
          UPDATE users SET is_active = COALESCE(${isActive ?? null}::boolean, is_active),
            display_name = COALESCE(${displayName ?? null}::text, display_name),
            email_verified = COALESCE(${emailVerified ?? null}::boolean, email_verified), updated_at = clock_timestamp()
          WHERE id = ${id}::uuid`;
        await exchangeRoles(tx, id, added, removed);
        const types: AuditEvent['type'][] = [];
        if (displayName !== undefined || emailVerified !== undefined) types.push('user.updated');
        if (isActive === true && !target.isActive) types.push('user.enabled');
        if (isActive === false && target.isActive) {
          await shutOut(tx, id);
          types.push('user.disabled');
        }
        for (const type of types) await tell(tx, principal, request, { type, userId: id });
        for (const role of added) await tell(tx, principal, request, { type: 'role.granted', userId: id, role });
        for (const role of removed) await tell(tx, principal, request, { type: 'role.revoked', userId: id, role });
        return (await findUser(tx, id)) ?? 'absent';
      });
    },

    /** The account and all that hangs on it; the audit trail keeps ids. */
    erase: (principal: Principal, id: UserId, request: RequestInfo) =>
      actOn(principal, id, { changesGrants: true }, async (tx) => {
        if (await isLastActiveAdmin(tx, id)) return 'last_admin';
        await tx.$executeRaw`DELETE FROM users WHERE id = ${id}::uuid`;
        await tell(tx, principal, request, { type: 'user.deleted', userId: id });
        return 'done';
      }),

    logOut: (principal: Principal, id: UserId, request: RequestInfo) =>
      actOn(principal, id, {}, async (tx) => {
        await revokeSessionsOf(tx, id, 'ended_by_admin');
        await tell(tx, principal, request, { type: 'user.logged_out', userId: id });
        return 'done';
      }),

    unlock: (principal: Principal, id: UserId, request: RequestInfo) =>
      actOn(principal, id, {}, async (tx, { email }) => {
        await liftLockout(tx, email);
        await tell(tx, principal, request, { type: 'user.unlocked', userId: id });
        return 'done';
      }),

    /** The link goes to the account's mailbox and to nobody else. */
    mailReset: (principal: Principal, id: UserId, request: RequestInfo) =>
      actOn(principal, id, {}, async (tx, { email, isActive }) => {
        const to = email as EmailAddress;
        if (!isActive) return 'disabled';
        if (!(await outbox.hasCapacity(tx, to, 'reset_password'))) return 'too_many';
        await outbox.enqueueRequest(tx, { kind: 'password_reset', email: to, source: request });
        await tell(tx, principal, request, { type: 'user.reset_mailed', userId: id });
        return 'done';
      }),
  };
};

export type AdminUsersStore = ReturnType<typeof makeAdminUsersStore>;
