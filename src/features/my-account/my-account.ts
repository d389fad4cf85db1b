import type { NewPassword } from '../../core/users/new-password.ts';
import { normalizePassword } from '../../core/users/password-policy.ts';
import { toUser, type User, type UserRow } from '../../core/users/user.ts';
import { InvalidCredentials } from '../../core/users/users.errors.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { InvalidAccessToken } from '../../http/refusals.ts';
import type { Hasher } from '../../platform/hasher.ts';
import type { ChangeOutcome, MyAccountStore, OwnAccount } from './my-account.store.ts';

export interface MyAccountDeps {
  store: MyAccountStore;
  hasher: Hasher;
  newPassword: NewPassword;
}

/** Each call acts on the caller's own account. @throws InvalidAccessToken where the caller's session has ended */
export interface MyAccount {
  read(caller: Caller): Promise<User>;
  rename(caller: Caller, displayName: string): Promise<User>;
  /** @throws InvalidCredentials, ValidationFailed, Overloaded */
  changePassword(caller: Caller, current: string, next: string, client: Client): Promise<void>;
  /** @throws InvalidCredentials, Overloaded */
  erase(caller: Caller, current: string, client: Client): Promise<void>;
}

export const makeMyAccount = ({ store, hasher, newPassword }: MyAccountDeps): MyAccount => {
  const own = async (caller: Caller): Promise<OwnAccount> => found(await store.account(caller));

  const confirm = async (account: OwnAccount, caller: Caller, current: string, client: Client): Promise<void> => {
    if (await hasher.verify(account.passwordHash, normalizePassword(current))) return;
    await store.refusePassword(caller, client);
    throw new InvalidCredentials('wrong_password');
  };

  return {
    read: async (caller) => toUser(found<UserRow>(await store.profile(caller))),

    rename: async (caller, displayName) => toUser(found<UserRow>(await store.rename(caller, displayName))),

    async changePassword(caller, current, next, client) {
      const account = await own(caller);
      await confirm(account, caller, current, client);
      const hash = await newPassword('new_password', next, account);
      settle(await store.changePassword(caller, account.passwordHash, hash, client));
    },

    async erase(caller, current, client) {
      const account = await own(caller);
      await confirm(account, caller, current, client);
      settle(await store.erase(caller, account.passwordHash, client));
    },
  };
};

function found<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new InvalidAccessToken('session ended');
  return row;
}

function settle(outcome: ChangeOutcome): void {
  if (outcome === 'caller_dead') throw new InvalidAccessToken('session ended');
  if (outcome === 'stale') throw new InvalidCredentials('the password changed while it was verified');
}
