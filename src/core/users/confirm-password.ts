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
 *
 * `wantedPassword` is the new password of a change. If it is already the current one, the change was repeated after a lost response.
 * It is as good a proof as the current password, and as good a guess: so it is compared only in the first attempt since the last
 * success, which a repeated change is, and a wrong one counts like any other failure.
 * @throws InvalidAccessToken, InvalidCredentials, AccountLocked, Overloaded
 */
export type ConfirmPassword = (
  principal: Principal,
  password: string,
  request: RequestInfo,
  wantedPassword?: string,
) => Promise<ConfirmedPassword>;

export interface ConfirmedPassword extends PasswordAccount {
  /** Whether the user gave the wanted password instead of the current one. */
  isRepeated: boolean;
}

export const makeConfirmPassword =
  ({ db, hasher, checkPassword }: ConfirmPasswordDeps): ConfirmPassword =>
  async (principal, password, request, wantedPassword) => {
    const account = requireLive(await findPrincipalPassword(db, principal));
    return checkPassword(account.email, request, async ({ isFirst }) => {
      const candidates = isFirst && wantedPassword !== undefined ? [password, wantedPassword] : [password];
      const match = await hasher.findMatch(account.passwordHash, candidates, request);
      if (match !== undefined) return { account: { ...account, isRepeated: match !== password } };
      const { userId } = principal;
      return {
        refused: { type: 'password.checked', outcome: 'failure', reason: 'wrong_password', actor: principal, userId },
      };
    });
  };

/** Thrown if the password was changed after `confirmPassword`. */
export const passwordWasChanged = () => new InvalidCredentials('password changed during the request');
