import { apiKeysNotice, revokeApiKeysOf } from '../../core/api-keys/api-keys.ts';
import { findLiveApiKeys } from '../../core/api-keys/api-keys.sql.ts';
import type { Audit } from '../../core/audit/audit.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { Outbox } from '../../core/email/outbox.ts';
import { invalidateTokens } from '../../core/one-time-tokens/one-time-tokens.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { revokeSessionsOf } from '../../core/sessions/sessions.sql.ts';
import { type ConfirmPassword, passwordWasChanged } from '../../core/users/confirm-password.ts';
import { EmailAddress } from '../../core/users/email-address.ts';
import type { HashNewPassword } from '../../core/users/new-password.ts';
import type { Database } from '../../platform/postgres.ts';

export interface ChangePasswordDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
  outbox: Outbox;
  confirmPassword: ConfirmPassword;
  hashNewPassword: HashNewPassword;
}

export interface PasswordChange {
  currentPassword: string;
  newPassword: string;
  /** Otherwise API keys keep working: a routine change must not stop the programs that use them. The notice lists them. */
  revokesApiKeys: boolean;
}

/**
 * Changes the password of the logged-in user, and revokes all other sessions and emailed links, and optionally all API keys. If the
 * new password is already in force, because a client repeats a change whose response it lost, only the email is left out.
 * @throws InvalidAccessToken, InvalidCredentials, AccountLocked, ValidationFailed, Overloaded
 */
export const makeChangePassword = (deps: ChangePasswordDeps) => {
  const { confirmPassword, hashNewPassword } = deps;
  return async (principal: Principal, change: PasswordChange, request: RequestInfo): Promise<void> => {
    const { currentPassword, newPassword: password } = change;
    const account = await confirmPassword(principal, currentPassword, request, password);
    const passwordHash = account.isRepeated
      ? undefined
      : await hashNewPassword({ field: 'new_password', password, context: account, request });
    if (await apply(deps, principal, { ...change, verifiedHash: account.passwordHash, passwordHash }, request)) return;
    // Another change was faster: perhaps the same one, sent again before its response. A holder of the old password can keep many
    // requests in flight with a guess in each, so this comparison is an attempt like any other.
    const { passwordHash: verifiedHash } = await confirmPassword(principal, password, request);
    const repeated = { ...change, verifiedHash, passwordHash: undefined };
    if (!(await apply(deps, principal, repeated, request))) throw passwordWasChanged();
  };
};

interface VerifiedChange extends PasswordChange {
  verifiedHash: string;
  /** Undefined if `verifiedHash` is already that of the new password. */
  passwordHash: string | undefined;
}

/** Returns false, and changes nothing, if the verified hash is no longer the current one. */
const apply = (
  { db, authorize, audit, outbox }: ChangePasswordDeps,
  principal: Principal,
  { revokesApiKeys, verifiedHash, passwordHash }: VerifiedChange,
  request: RequestInfo,
): Promise<boolean> =>
  db.transaction(async (tx) => {
    const { userId, sessionId } = principal;
    await authorize(tx, principal);
    const [user] = await tx.user.updateManyAndReturn({
      where: { id: userId, passwordHash: verifiedHash },
      data: { passwordHash: passwordHash ?? verifiedHash },
      select: { email: true, displayName: true },
    });
    if (!user) return false;
    const reason = 'password_changed';
    await revokeSessionsOf(tx, userId, reason, sessionId);
    const keys = revokesApiKeys
      ? await revokeApiKeysOf(tx, audit, request, { userId, reason, actor: principal })
      : await findLiveApiKeys(tx, userId);
    await invalidateTokens(tx, userId);
    const to = EmailAddress.parse(user.email);
    const apiKeys = apiKeysNotice(keys, revokesApiKeys);
    // Anyone can register someone else's address and then change the password again and again.
    if (passwordHash !== undefined && (await outbox.hasCapacity(tx, to, 'password_changed')))
      await outbox.enqueue(tx, userId, { kind: 'password_changed', to, name: user.displayName, apiKeys });
    const repeated = passwordHash === undefined ? { reason: 'repeated' } : {};
    await audit.record(tx, request, { type: 'password.changed', actor: principal, userId, ...repeated });
    return true;
  });
