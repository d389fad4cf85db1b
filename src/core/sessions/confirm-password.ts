import type { Caller } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import type { Hasher } from '../../platform/hasher.ts';
import type { Database } from '../../platform/postgres.ts';
import { actorOf } from '../audit/audit.store.ts';
import type { CheckPassword } from '../users/check-password.ts';
import { normalizePassword } from '../users/password-policy.ts';
import { InvalidCredentials } from '../users/users.errors.ts';
import { findOwnAccount, type OwnAccount } from './confirm-password.store.ts';
import { requireLive } from './require-live.ts';

export interface ConfirmPasswordDeps {
  db: Database;
  hasher: Hasher;
  checkPassword: CheckPassword;
}

/**
 * The caller's account, once they have shown that they know its password: for what a stolen access token must not do
 * (ASVS 5.0, 7.5.1). @throws InvalidAccessToken, InvalidCredentials, AccountLocked, Overloaded
 */
export type ConfirmPassword = (caller: Caller, password: string, client: Client) => Promise<OwnAccount>;

export const makeConfirmPassword =
  ({ db, hasher, checkPassword }: ConfirmPasswordDeps): ConfirmPassword =>
  async (caller, password, client) => {
    const account = requireLive(await findOwnAccount(db, caller));
    return checkPassword(account.email, client, async () => {
      if (await hasher.verify(account.passwordHash, normalizePassword(password), client.gone)) return { account };
      const facts = { ...actorOf(caller), userId: caller.userId };
      return { refused: { type: 'password.checked', outcome: 'failure', reason: 'wrong_password', ...facts } };
    });
  };

export const overtaken = (): InvalidCredentials => new InvalidCredentials('the password changed while it was verified');
