import { actorOf, type AuditType, recordEvent } from '../../core/audit/audit.store.ts';
import { requireAuthority } from '../../core/scopes/authority.ts';
import {
  actAsAdministrator,
  type Administrator,
  readAsAdministrator,
} from '../../core/sessions/administrator.store.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { type Database, type Queryable, sql } from '../../platform/postgres.ts';

export interface RoleRow {
  name: string;
  description: string;
  scopes: string[];
  builtIn: boolean;
  createdAt: Date;
}

export interface NewRole {
  name: string;
  description: string;
  scopes: readonly string[];
}

export interface RoleChange {
  description?: string | undefined;
  scopes?: readonly string[] | undefined;
}

export type Refused = 'absent' | 'built_in' | 'in_use';

const needs = ['roles:write'];
const columns = sql`r.name, r.description, r.scopes, r.built_in AS "builtIn", r.created_at AS "createdAt"`;

/** Nobody can be given the role any more until the transaction ends. */
async function lockRole(tx: Queryable, name: string): Promise<RoleRow | undefined> {
  const [row] = await tx.$queryRaw<RoleRow[]>`SELECT ${columns} FROM roles AS r WHERE r.name = ${name} FOR UPDATE`;
  return row;
}

const exclusive = (some: readonly string[], others: readonly string[]) =>
  some.filter((scope) => !others.includes(scope));

/** Each returns undefined where the caller is dead. @throws InsufficientScope */
export const makeAdminRolesStore = (db: Database) => {
  const tell = (tx: Queryable, caller: Caller, client: Client, type: AuditType, role: string) =>
    recordEvent(tx, client, { type, outcome: 'success', ...actorOf(caller), role });

  /** Acts on a role that is not built in, with every change of grants held off. */
  const actOn = <Result>(
    caller: Caller,
    name: string,
    act: (tx: Queryable, role: RoleRow, administrator: Administrator) => Promise<Result>,
  ): Promise<Result | Refused | undefined> =>
    actAsAdministrator(db, caller, { needs, changesGrants: true }, async (tx, administrator) => {
      const role = await lockRole(tx, name);
      if (!role) return 'absent';
      return role.builtIn ? 'built_in' : act(tx, role, administrator);
    });

  return {
    /** By name, from after `after`. */
    list: (caller: Caller, after: string | undefined, limit: number): Promise<RoleRow[] | undefined> =>
      readAsAdministrator(db, caller, 'roles:write', {
        page: sql`
          SELECT ${columns} FROM roles AS r ${after === undefined ? sql`` : sql`WHERE r.name > ${after}`}
          ORDER BY r.name LIMIT ${limit}`,
        order: sql`page.name`,
      }),

    create: (caller: Caller, { name, description, scopes }: NewRole, client: Client) =>
      actAsAdministrator<RoleRow | 'exists'>(db, caller, { needs, changesGrants: true }, async (tx, administrator) => {
        requireAuthority(administrator, scopes);
        const [role] = await tx.$queryRaw<RoleRow[]>`
          INSERT INTO roles AS r (name, description, scopes) VALUES (${name}, ${description}, ${scopes})
          ON CONFLICT (name) DO NOTHING RETURNING ${columns}`;
        if (!role) return 'exists';
        await tell(tx, caller, client, 'role.created', name);
        return role;
      }),

    /** Who has the role has it changed, at once where this service asks, and in tokens at the next refresh. */
    change: (caller: Caller, name: string, { description, scopes }: RoleChange, client: Client) =>
      actOn<RoleRow | 'absent'>(caller, name, async (tx, role, administrator) => {
        const wanted = scopes ?? role.scopes;
        requireAuthority(administrator, [...exclusive(wanted, role.scopes), ...exclusive(role.scopes, wanted)]);
        const [changed] = await tx.$queryRaw<RoleRow[]>`
          UPDATE roles AS r SET description = ${description ?? role.description}, scopes = ${wanted}
          WHERE r.name = ${name} RETURNING ${columns}`;
        await tell(tx, caller, client, 'role.changed', name);
        return changed ?? 'absent';
      }),

    remove: (caller: Caller, name: string, client: Client) =>
      actOn<'done' | Refused>(caller, name, async (tx, role, administrator) => {
        requireAuthority(administrator, role.scopes);
        const deleted = await tx.$executeRaw`
          DELETE FROM roles WHERE name = ${name} AND NOT EXISTS (SELECT FROM user_roles WHERE role = ${name})`;
        if (deleted === 0) return 'in_use';
        await tell(tx, caller, client, 'role.deleted', name);
        return 'done';
      }),
  };
};

export type AdminRolesStore = ReturnType<typeof makeAdminRolesStore>;
