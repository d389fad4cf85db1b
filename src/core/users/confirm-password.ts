import type { Hasher } from '../../platform/password-hashing/password-hasher.ts';
import type { Database } from '../../platform/postgres.ts';
import type { Principal } from '../authorization/principal.ts';
import { requireLive } from '../authorization/rules.ts';
import type { RequestInfo } from '../request-info.ts';
import type { CheckPassword } from './check-password.ts';
import { InvalidCredentials } from './users.errors.ts';
import { findPrincipalPassword, type PasswordAccount } from './users.sql.ts';

export interface ConfirmPasswordDeps {
  db: Database;
  hasher: Hasher;
  checkPassword: CheckPassword;
}

/**
 * Checks the password of the logged-in user, for operations that a stolen access token must not allow (ASVS 5.0, 7.5.1). The
 * transaction of the operation must check that the returned hash is still the current one.
 * @throws InvalidAccessToken, InvalidCredentials, AccountLocked, Overloaded
 */
export type ConfirmPassword = (
  principal: Principal,
  password: string,
  request: RequestInfo,
) => Promise<PasswordAccount>;

export const makeConfirmPassword =
  ({ db, hasher, checkPassword }: ConfirmPasswordDeps): ConfirmPassword =>
  async (principal, password, request) => {
    const account = requireLive(await findPrincipalPassword(db, principal));
    return checkPassword(account.email, request, async () => {
      if (await hasher.verify(account.passwordHash, password, request)) return { account };
      const { userId } = principal;
      return {
        refused: { type: 'password.checked', outcome: 'failure', reason: 'wrong_password', actor: principal, userId },
      };
    });
  };

/** Thrown if the password was changed after `confirmPassword`. */
export const passwordWasChanged = () => new InvalidCredentials('password changed during the request');
