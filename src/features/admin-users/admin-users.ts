import { MailDisabled, TooManyMails } from '../../core/mails/mails.errors.ts';
import type { Outbox } from '../../core/mails/outbox.ts';
import { requireLive } from '../../core/sessions/require-live.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { NotFound, ValidationFailed } from '../../http/refusals.ts';
import type { UserId } from '../../kernel/id.ts';
import { AccountDisabled } from './admin-users.errors.ts';
import type { AdminUsersStore, UserChange } from './admin-users.store.ts';
import type { AdminUserRow, EntryRow, Place } from './user-pages.store.ts';

export interface AdminUsersDeps {
  store: AdminUsersStore;
  outbox: Outbox;
}

export interface Search {
  query: string | undefined;
  after: Place | undefined;
  limit: number;
}

export interface UserPage {
  users: AdminUserRow[];
  /** Where the next page begins; undefined at the end. */
  next: Place | undefined;
}

type ActOnUser = (caller: Caller, id: UserId, client: Client) => Promise<void>;

/**
 * Each call is an administrator's, whose scope is asked for again in the statement or the transaction that acts.
 * @throws InvalidAccessToken, InsufficientScope, NotFound
 */
export interface AdminUsers {
  /** @throws ValidationFailed for a cursor of another list */
  list: (caller: Caller, search: Search) => Promise<UserPage>;
  find: (caller: Caller, id: UserId) => Promise<AdminUserRow>;
  /** @throws LastAdmin, ValidationFailed */
  change: (caller: Caller, id: UserId, wanted: UserChange, client: Client) => Promise<AdminUserRow>;
  /** @throws LastAdmin */
  erase: ActOnUser;
  logOut: ActOnUser;
  unlock: ActOnUser;
  /** @throws MailDisabled, AccountDisabled, TooManyMails */
  mailReset: ActOnUser;
}

const placeOf = ({ by, key, id }: EntryRow): Place =>
  by === 'id' ? { by, id } : by === 'email' ? { by, key } : { by, key, id };

/** What was found or done of a user who is there. @throws InvalidAccessToken, NotFound, LastAdmin */
function requireThere<Found>(found: Found | 'absent' | 'last_admin' | undefined): Found {
  const outcome = requireLive(found);
  if (outcome === 'absent') throw new NotFound('user');
  if (outcome === 'last_admin') throw new LastAdmin();
  return outcome;
}

export const makeAdminUsers = ({ store, outbox }: AdminUsersDeps): AdminUsers => ({
  async list(caller, { query, after, limit }) {
    if (after && (after.by === 'id') !== (query === undefined))
      throw new ValidationFailed([{ path: 'cursor', message: 'must be the next_cursor of a page' }]);
    const rows = requireLive(await store.list(caller, { query, after, limit: limit + 1 }));
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return { users: page.filter(({ again }) => !again), next: last && placeOf(last) };
  },

  find: async (caller, id) => requireThere(await store.find(caller, id)),

  async change(caller, id, wanted, client) {
    const outcome = requireThere(await store.change(caller, id, wanted, client));
    if (!('unknownRoles' in outcome)) return outcome;
    throw new ValidationFailed([{ path: 'roles', message: 'must name roles that there are' }]);
  },

  erase: async (caller, id, client) => void requireThere(await store.erase(caller, id, client)),
  logOut: async (caller, id, client) => void requireThere(await store.logOut(caller, id, client)),
  unlock: async (caller, id, client) => void requireThere(await store.unlock(caller, id, client)),

  async mailReset(caller, id, client) {
    if (!outbox.isOpen) throw new MailDisabled();
    const outcome = requireThere(await store.mailReset(caller, id, client));
    if (outcome === 'disabled') throw new AccountDisabled();
    if (outcome === 'too_many') throw new TooManyMails();
  },
});
