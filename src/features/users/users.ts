import { EmailDisabled } from '../../core/email/email.errors.ts';
import { RateLimited } from '../../core/errors.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { NotFound, ValidationFailed } from '../../core/errors.ts';
import type { UserId } from '../../lib/ids.ts';
import { AccountDisabled } from './users.errors.ts';
import type { AdminUsersStore, UserChange } from './users.store.ts';
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

type ActOnUser = (principal: Principal, id: UserId, request: RequestInfo) => Promise<void>;

/**
 * Each call is an administrator's, whose scope is asked for again in the statement or the transaction that acts.
 * @throws InvalidAccessToken, InsufficientScope, NotFound
 */
export interface AdminUsers {
  /** @throws ValidationFailed for a cursor of another list */
  list: (principal: Principal, search: Search) => Promise<UserPage>;
  find: (principal: Principal, id: UserId) => Promise<AdminUserRow>;
  /** @throws LastAdmin, ValidationFailed */
  change: (principal: Principal, id: UserId, wanted: UserChange, request: RequestInfo) => Promise<AdminUserRow>;
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
  async list(principal, { query, after, limit }) {
    if (after && (after.by === 'id') !== (query === undefined))
      throw new ValidationFailed([{ path: 'cursor', message: 'must be the next_cursor of a page' }]);
    const rows = requireLive(await store.list(principal, { query, after, limit: limit + 1 }));
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return { users: page.filter(({ again }) => !again), next: last && placeOf(last) };
  },

  find: async (principal, id) => requireThere(await store.find(principal, id)),

  async change(principal, id, wanted, request) {
    const outcome = requireThere(await store.change(principal, id, wanted, request));
    if (!('unknownRoles' in outcome)) return outcome;
    throw new ValidationFailed([{ path: 'roles', message: 'must name roles that there are' }]);
  },

  erase: async (principal, id, request) => void requireThere(await store.erase(principal, id, request)),
  logOut: async (principal, id, request) => void requireThere(await store.logOut(principal, id, request)),
  unlock: async (principal, id, request) => void requireThere(await store.unlock(principal, id, request)),

  async mailReset(principal, id, request) {
    if (!outbox.isEnabled) throw new EmailDisabled();
    const outcome = requireThere(await store.mailReset(principal, id, request));
    if (outcome === 'disabled') throw new AccountDisabled();
    if (outcome === 'too_many') throw new RateLimited('emails to one address', 3600);
  },
});
