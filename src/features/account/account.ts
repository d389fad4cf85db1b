import { type ConfirmPassword, overtaken } from '../../core/users/confirm-password.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import type { HashNewPassword } from '../../core/users/hash-new-password.ts';
import { toUser, type User } from '../../http/schemas/user.ts';
import { LastAdmin } from '../../core/users/users.errors.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { MyAccountStore } from './account.store.ts';

export interface MyAccountDeps {
  store: MyAccountStore;
  confirmPassword: ConfirmPassword;
  hashNewPassword: HashNewPassword;
}

/** Each call acts on the caller's own account. @throws InvalidAccessToken where the caller's session has ended */
export interface MyAccount {
  read(principal: Principal): Promise<User>;
  rename(principal: Principal, displayName: string): Promise<User>;
  /** @throws InvalidCredentials, AccountLocked, ValidationFailed, Overloaded */
  changePassword(principal: Principal, current: string, next: string, request: RequestInfo): Promise<void>;
  /** @throws InvalidCredentials, AccountLocked, LastAdmin, Overloaded */
  erase(principal: Principal, current: string, request: RequestInfo): Promise<void>;
}

export const makeMyAccount = ({ store, confirmPassword, hashNewPassword }: MyAccountDeps): MyAccount => {
  return {
    read: async (principal) => toUser(requireLive(await store.profile(principal))),

    rename: async (principal, displayName) => toUser(requireLive(await store.rename(principal, displayName))),

    async changePassword(principal, current, next, request) {
      const account = await confirmPassword(principal, current, request);
      const hash = await hashNewPassword({
        field: 'new_password',
        password: next,
        context: account,
        gone: request.signal,
      });
      if (!requireLive(await store.changePassword(principal, account.passwordHash, hash, request))) throw overtaken();
    },

    async erase(principal, current, request) {
      const account = await confirmPassword(principal, current, request);
      const erased = requireLive(await store.erase(principal, account.passwordHash, request));
      if (erased === 'last_admin') throw new LastAdmin();
      if (!erased) throw overtaken();
    },
  };
};
