import { grantScopes } from '../../core/authorization/scopes.ts';
import type { Audit } from '../../core/audit/audit.ts';
import { ValidationFailed } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { type CreatedSession, type CreateSession, replaceSession } from '../../core/sessions/create-session.ts';
import type { IssuedTokens, Tokens } from '../../core/tokens/issue-tokens.ts';
import type { CheckPassword } from '../../core/users/check-password.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { EmailNotVerified, InvalidCredentials } from '../../core/users/users.errors.ts';
import { replacePasswordHash } from '../../core/users/new-password.ts';
import { type Credentials, findCredentials } from '../../core/users/users.sql.ts';
import { ApiError } from '../../lib/errors.ts';
import type { SessionId, UserId } from '../../lib/ids.ts';
import { type LoginOutcome, type Metrics, toLoginOutcome } from '../../platform/metrics.ts';
import type { Hasher } from '../../platform/password-hashing/password-hasher.ts';
import type { Database } from '../../platform/postgres.ts';

export interface LoginDeps {
  db: Database;
  audit: Audit;
  hasher: Hasher;
  checkPassword: CheckPassword;
  createSession: CreateSession;
  tokens: Tokens;
  metrics: Pick<Metrics, 'loggedIn'>;
  emailVerification: 'off' | 'optional' | 'required';
}

export interface LoginAttempt {
  email: EmailAddress;
  password: string;
  /** Scopes requested by name; null for the default scopes. */
  scope: string | null;
  /** Sessions that the request presented and that the login replaces (ASVS 5.0, 7.2.4). */
  replaces: readonly SessionId[];
}

export type Login = (attempt: LoginAttempt, request: RequestInfo) => Promise<IssuedTokens>;

/** Another login can replace the hash while this one verifies it. Three times in a row is implausible. */
const maxTries = 3;

/**
 * Logs in with a password.
 * @throws InvalidCredentials, AccountLocked, EmailNotVerified, ValidationFailed, Overloaded, NotReady, ClientDisconnected
 */
export const makeLogin = (deps: LoginDeps): Login => {
  const { hasher, tokens, metrics } = deps;

  const logIn: Login = async (attempt, request) => {
    tokens.requireKey();
    const { email, password } = attempt;
    for (let tries = 0; tries < maxTries; tries += 1) {
      const user = await verifyPassword(deps, email, password, request);
      await requireVerifiedEmail(deps, user, request);
      await requireHeldScope(deps, user, attempt, request);
      const isWeak = hasher.needsRehash(user.passwordHash, password);
      const betterHash = isWeak ? await hasher.hash(password, request) : undefined;
      request.signal.throwIfAborted(); // The client has disconnected and could not use the session.
      const created = await openSession(deps, user, betterHash, attempt, request);
      if (!created) continue;
      request.annotate({ userId: user.id, sessionId: created.session.id });
      return tokens.issue(created.session, created.refreshToken);
    }
    throw new InvalidCredentials('overtaken');
  };

  return async (attempt, request) => {
    try {
      const issued = await logIn(attempt, request);
      metrics.loggedIn('success');
      return issued;
    } catch (error) {
      metrics.loggedIn(outcomeOf(error));
      throw error;
    }
  };
};

const outcomeOf = (error: unknown): LoginOutcome => {
  if (error instanceof InvalidCredentials) return toLoginOutcome(error.reason);
  return error instanceof ApiError ? toLoginOutcome(error.definition.code) : 'not_done';
};

/** Returns the user with this password. Does the same work and throws the same error for every cause of failure. */
const verifyPassword = (
  { db, hasher, checkPassword }: LoginDeps,
  email: EmailAddress,
  password: string,
  request: RequestInfo,
): Promise<Credentials> =>
  checkPassword(email, request, async () => {
    const user = await findCredentials(db, email);
    const matches = user
      ? await hasher.verify(user.passwordHash, password, request)
      : await hasher.verifyDecoy(password, request);
    if (user?.isActive && matches) return { account: user };
    const reason = !user ? 'unknown_account' : matches ? 'account_disabled' : 'wrong_password';
    return { refused: failedLogin(reason, user?.id) };
  });

/** The audit event of a failed login. `checkPassword` records it in the transaction that counts the failed attempt. */
const failedLogin = (reason: LoginOutcome | 'no_scope_held', userId: UserId | undefined) =>
  ({ type: 'login', outcome: 'failure', reason, userId }) as const;

const recordFailedLogin = (
  { db, audit }: LoginDeps,
  user: Credentials,
  reason: LoginOutcome | 'no_scope_held',
  request: RequestInfo,
): Promise<void> => audit.record(db, request, failedLogin(reason, user.id));

async function requireVerifiedEmail(deps: LoginDeps, user: Credentials, request: RequestInfo): Promise<void> {
  if (deps.emailVerification !== 'required' || user.emailVerified) return;
  await recordFailedLogin(deps, user, 'email_not_verified', request);
  throw new EmailNotVerified();
}

/** A token without scopes is useless. The attempt is recorded because it shows that the password is correct. */
async function requireHeldScope(
  deps: LoginDeps,
  user: Credentials,
  { scope }: LoginAttempt,
  request: RequestInfo,
): Promise<void> {
  if (scope === null || grantScopes(user.heldScopes, scope).length > 0) return;
  await recordFailedLogin(deps, user, 'no_scope_held', request);
  throw new ValidationFailed([{ path: 'scope', message: 'must contain at least one scope of your roles' }]);
}

/** Creates the session, or returns undefined if the password or its hash has changed since it was verified. */
const openSession = (
  { db, audit, createSession }: LoginDeps,
  { id: userId, passwordHash }: Credentials,
  betterHash: string | undefined,
  { scope: requestedScope, replaces }: LoginAttempt,
  request: RequestInfo,
): Promise<CreatedSession | undefined> =>
  db.transaction(async (tx) => {
    if (betterHash && !(await replacePasswordHash(tx, userId, passwordHash, betterHash))) return undefined;
    const verifiedHash = betterHash ?? passwordHash;
    const created = await createSession(tx, { userId, verifiedHash, requestedScope, request });
    if (!created) return undefined;
    const actor = { userId };
    for (const replaced of replaces) await replaceSession(tx, audit, replaced, actor, request);
    await audit.record(tx, request, { type: 'login', actor, userId, sessionId: created.session.id });
    return created;
  });
