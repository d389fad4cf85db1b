import { type ConfirmPassword, overtaken } from '../../core/sessions/confirm-password.ts';
import { requireLive } from '../../core/sessions/require-live.ts';
import type { HashNewPassword } from '../../core/users/hash-new-password.ts';
import { toUser, type User } from '../../core/users/user.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { MyAccountStore } from './my-account.store.ts';

export interface MyAccountDeps {
  store: MyAccountStore;
  confirmPassword: ConfirmPassword;
  hashNewPassword: HashNewPassword;
}

/** Each call acts on the caller's own account. @throws InvalidAccessToken where the caller's session has ended */
export interface MyAccount {
  read(caller: Caller): Promise<User>;
  rename(caller: Caller, displayName: string): Promise<User>;
  /** @throws InvalidCredentials, AccountLocked, ValidationFailed, Overloaded */
  changePassword(caller: Caller, current: string, next: string, client: Client): Promise<void>;
  /** @throws InvalidCredentials, AccountLocked, LastAdmin, Overloaded */
  erase(caller: Caller, current: string, client: Client): Promise<void>;
}

export const makeMyAccount = ({ store, confirmPassword, hashNewPassword }: MyAccountDeps): MyAccount => {
  return {
    read: async (caller) => toUser(requireLive(await store.profile(caller))),

    rename: async (caller, displayName) => toUser(requireLive(await store.rename(caller, displayName))),

    async changePassword(caller, current, next, client) {
      const account = await confirmPassword(caller, current, client);
      const { gone } = client;
      const hash = await hashNewPassword({ field: 'new_password', password: next, context: account, gone });
      if (!requireLive(await store.changePassword(caller, account.passwordHash, hash, client))) throw overtaken();
    },

    async erase(caller, current, client) {
      const account = await confirmPassword(caller, current, client);
      const erased = requireLive(await store.erase(caller, account.passwordHash, client));
      if (erased === 'last_admin') throw new LastAdmin();
      if (!erased) throw overtaken();
    },
  };
};
