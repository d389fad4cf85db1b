import type { Principal } from '../authorization/principal.ts';
import type { RequestInfo } from '../request-info.ts';
import type { Hasher } from '../../platform/password-hashing/password-hasher.ts';
import type { Database } from '../../platform/postgres.ts';
import { actorOf } from '../audit/audit.store.ts';
import type { CheckPassword } from './check-password.ts';
import { normalizePassword } from './password-policy.ts';
import { InvalidCredentials } from './users.errors.ts';
import { findOwnAccount, type OwnAccount } from './confirm-password.store.ts';
import { requireLive } from '../authorization/rules.ts';

export interface ConfirmPasswordDeps {
  db: Database;
  hasher: Hasher;
  checkPassword: CheckPassword;
}

/**
 * The caller's account, once they have shown that they know its password: for what a stolen access token must not do
 * (ASVS 5.0, 7.5.1). @throws InvalidAccessToken, InvalidCredentials, AccountLocked, Overloaded
 */
export type ConfirmPassword = (principal: Principal, password: string, request: RequestInfo) => Promise<OwnAccount>;

export const makeConfirmPassword =
  ({ db, hasher, checkPassword }: ConfirmPasswordDeps): ConfirmPassword =>
  async (principal, password, request) => {
    const account = requireLive(await findOwnAccount(db, principal));
    return checkPassword(account.email, request, async () => {
      if (await hasher.verify(account.passwordHash, normalizePassword(password), request.signal)) return { account };
      const facts = { ...actorOf(principal), userId: principal.userId };
      return { refused: { type: 'password.checked', outcome: 'failure', reason: 'wrong_password', ...facts } };
    });
  };

export const overtaken = (): InvalidCredentials => new InvalidCredentials('the password changed while it was verified');
