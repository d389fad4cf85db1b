import { requireLive } from '../../core/sessions/require-live.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { NotFound } from '../../http/refusals.ts';
import { RoleExists, RoleFixed } from './admin-roles.errors.ts';
import type { AdminRolesStore, NewRole, Refused, RoleChange, RoleRow } from './admin-roles.store.ts';

export interface RolePage {
  roles: RoleRow[];
  /** Where the next page begins; undefined at the end. */
  next: string | undefined;
}

/** Each call is an administrator's. @throws InvalidAccessToken, InsufficientScope */
export interface AdminRoles {
  list: (caller: Caller, after: string | undefined, limit: number) => Promise<RolePage>;
  /** @throws RoleExists */
  create: (caller: Caller, role: NewRole, client: Client) => Promise<RoleRow>;
  /** @throws NotFound, RoleFixed */
  change: (caller: Caller, name: string, wanted: RoleChange, client: Client) => Promise<RoleRow>;
  /** @throws NotFound, RoleFixed */
  remove: (caller: Caller, name: string, client: Client) => Promise<void>;
}

function requireFree<Done>(found: Done | Refused | undefined): Done {
  const outcome = requireLive(found);
  if (outcome === 'absent') throw new NotFound('role');
  if (outcome === 'built_in') throw new RoleFixed('built_in');
  if (outcome === 'in_use') throw new RoleFixed('in_use');
  return outcome;
}

export const makeAdminRoles = (store: AdminRolesStore): AdminRoles => ({
  async list(caller, after, limit) {
    const rows = requireLive(await store.list(caller, after, limit + 1));
    const roles = rows.slice(0, limit);
    return { roles, next: rows.length > limit ? roles.at(-1)?.name : undefined };
  },

  async create(caller, role, client) {
    const outcome = requireLive(await store.create(caller, role, client));
    if (outcome === 'exists') throw new RoleExists();
    return outcome;
  },

  change: async (caller, name, wanted, client) => requireFree(await store.change(caller, name, wanted, client)),

  remove: async (caller, name, client) => void requireFree(await store.remove(caller, name, client)),
});
