import type { DrawNewSession } from '../../core/sessions/new-session.ts';
import { formatToken } from '../../core/sessions/refresh-token.ts';
import type { TokenResponse } from '../../http/schemas/token-response.ts';
import type { GrantScopes, Tokens } from '../../core/tokens/issue-tokens.ts';
import type { CheckPassword } from '../../core/users/check-password.ts';
import type { EmailAddress } from '../../core/users/email-address.ts';
import { normalizePassword } from '../../core/users/password-policy.ts';
import { EmailNotVerified, InvalidCredentials } from '../../core/users/users.errors.ts';
import type { Credentials } from '../../core/users/users.sql.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { ValidationFailed } from '../../core/errors.ts';
import type { SessionId } from '../../lib/ids.ts';
import { ApiError } from '../../lib/errors.ts';
import type { Hasher } from '../../platform/password-hashing/password-hasher.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { PasswordLoginStore } from './login.store.ts';

export interface PasswordLoginDeps {
  store: PasswordLoginStore;
  hasher: Hasher;
  checkPassword: CheckPassword;
  newSession: DrawNewSession;
  tokens: Tokens;
  grantScopes: GrantScopes;
  metrics: Pick<Metrics, 'loggedIn'>;
  emailVerification: 'off' | 'optional' | 'required';
}

export interface LoginAttempt {
  email: EmailAddress;
  password: string;
  /** Scopes asked for by name; null for the usual ones. */
  scope: string | null;
  /** The sessions that the login was called with, which it replaces (ASVS 5.0, 7.2.4). */
  replaces: readonly SessionId[];
}

export type PasswordLogin = (attempt: LoginAttempt, request: RequestInfo) => Promise<TokenResponse>;

/** A hash may be replaced by another login's rehash while this one verifies it; twice is not plausible. */
const maxTries = 3;

/** Logs in. @throws InvalidCredentials, AccountLocked, EmailNotVerified, ValidationFailed, Overloaded, ClientGone */
export const makePasswordLogin = (deps: PasswordLoginDeps): PasswordLogin => {
  const { store, hasher, newSession, tokens, metrics } = deps;
  const login: PasswordLogin = async (attempt, request) => {
    tokens.requireKey();
    const password = normalizePassword(attempt.password);
    for (let tries = 0; tries < maxTries; tries += 1) {
      const user = await verified(deps, attempt.email, password, request);
      await refuseUnverified(deps, user, request);
      await refuseEmptyScope(deps, attempt, user, request);
      const weak = hasher.needsRehash(user.passwordHash, password);
      const betterHash = weak ? await hasher.hash(password, request.signal) : undefined;
      request.signal.throwIfAborted(); // nobody would have the session's token
      const { token, birth } = newSession(request, attempt.scope);
      const session = await store.open({
        birth: { ...birth, userId: user.id, verifiedHash: user.passwordHash },
        betterHash,
        replaces: attempt.replaces,
        request,
      });
      if (!session) continue;
      request.annotate({ userId: user.id, sessionId: session.id });
      return tokens.respond(session, formatToken(token));
    }
    throw new InvalidCredentials('overtaken');
  };

  return async (attempt, request) => {
    try {
      const response = await login(attempt, request);
      metrics.loggedIn('success');
      return response;
    } catch (error) {
      metrics.loggedIn(outcomeOf(error));
      throw error;
    }
  };
};

/** Of a refused password, what is wrong with it; else the code that the client gets. */
function outcomeOf(error: unknown): string {
  if (error instanceof InvalidCredentials) return error.reason;
  return error instanceof ApiError ? error.definition.code : 'not_done';
}

/** The account whose password this is. The same work and the same answer, whatever is wrong. */
const verified = (
  deps: PasswordLoginDeps,
  email: EmailAddress,
  password: string,
  request: RequestInfo,
): Promise<Credentials> =>
  deps.checkPassword(email, request, async () => {
    const { store, hasher } = deps;
    const { signal: gone } = request;
    const user = await store.find(email);
    const matches = await (user
      ? hasher.verify(user.passwordHash, password, gone)
      : hasher.verifyDecoy(password, gone));
    if (user?.isActive && matches) return { account: user };
    const reason = !user ? 'unknown_account' : matches ? 'account_disabled' : 'wrong_password';
    return { refused: { type: 'login', outcome: 'failure', reason, userId: user?.id } };
  });

/** Where it is required, an account is of no use before its address is known to be theirs. */
async function refuseUnverified(
  { store, emailVerification }: PasswordLoginDeps,
  user: Credentials,
  request: RequestInfo,
): Promise<void> {
  if (emailVerification !== 'required' || user.emailVerified) return;
  await store.refuse(user.id, 'email_not_verified', request);
  throw new EmailNotVerified();
}

/** A token that can do nothing helps nobody. The attempt is recorded, as it tells whether the password is right. */
async function refuseEmptyScope(
  { store, grantScopes }: PasswordLoginDeps,
  { scope }: LoginAttempt,
  user: Credentials,
  request: RequestInfo,
): Promise<void> {
  if (scope === null || grantScopes(user.heldScopes, scope).length > 0) return;
  await store.refuse(user.id, 'no_scope_held', request);
  throw new ValidationFailed([{ path: 'scope', message: 'must name at least one scope that your roles give' }]);
}
