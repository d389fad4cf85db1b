import { requireLive } from '../../core/sessions/require-live.ts';
import type { CheckPassword } from '../../core/users/check-password.ts';
import type { HashNewPassword } from '../../core/users/hash-new-password.ts';
import { normalizePassword } from '../../core/users/password-policy.ts';
import { toUser, type User } from '../../core/users/user.ts';
import { InvalidCredentials } from '../../core/users/users.errors.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { Hasher } from '../../platform/hasher.ts';
import type { MyAccountStore, OwnAccount } from './my-account.store.ts';

export interface MyAccountDeps {
  store: MyAccountStore;
  hasher: Hasher;
  checkPassword: CheckPassword;
  hashNewPassword: HashNewPassword;
}

/** Each call acts on the caller's own account. @throws InvalidAccessToken where the caller's session has ended */
export interface MyAccount {
  read(caller: Caller): Promise<User>;
  rename(caller: Caller, displayName: string): Promise<User>;
  /** @throws InvalidCredentials, AccountLocked, ValidationFailed, Overloaded */
  changePassword(caller: Caller, current: string, next: string, client: Client): Promise<void>;
  /** @throws InvalidCredentials, AccountLocked, Overloaded */
  erase(caller: Caller, current: string, client: Client): Promise<void>;
}

export const makeMyAccount = ({ store, hasher, checkPassword, hashNewPassword }: MyAccountDeps): MyAccount => {
  /** The hash that the caller's password was just verified against, and what a new one must not be. */
  const confirmed = async (caller: Caller, current: string, client: Client): Promise<OwnAccount> => {
    const account = requireLive(await store.account(caller));
    const { userId, sessionId } = caller;
    return checkPassword(account.email, client, async () => {
      if (await hasher.verify(account.passwordHash, normalizePassword(current), client.gone)) return { account };
      const facts = { actorId: userId, userId, sessionId };
      return { refused: { type: 'password.checked', outcome: 'failure', reason: 'wrong_password', ...facts } };
    });
  };

  return {
    read: async (caller) => toUser(requireLive(await store.profile(caller))),

    rename: async (caller, displayName) => toUser(requireLive(await store.rename(caller, displayName))),

    async changePassword(caller, current, next, client) {
      const account = await confirmed(caller, current, client);
      const { gone } = client;
      const hash = await hashNewPassword({ field: 'new_password', password: next, context: account, gone });
      if (!requireLive(await store.changePassword(caller, account.passwordHash, hash, client))) throw overtaken();
    },

    async erase(caller, current, client) {
      const account = await confirmed(caller, current, client);
      if (!requireLive(await store.erase(caller, account.passwordHash, client))) throw overtaken();
    },
  };
};

const overtaken = () => new InvalidCredentials('the password changed while it was verified');
