import type { DrawNewSession } from '../../core/sessions/new-session.ts';
import { formatToken } from '../../core/sessions/ratchet.ts';
import type { TokenResponse } from '../../core/tokens/token-response.ts';
import type { GrantScopes, Tokens } from '../../core/tokens/tokens.ts';
import type { Email } from '../../core/users/email.ts';
import { normalizePassword } from '../../core/users/password-policy.ts';
import { InvalidCredentials } from '../../core/users/users.errors.ts';
import type { Credentials } from '../../core/users/users.store.ts';
import type { VerifyAccessToken } from '../../http/authenticate.ts';
import type { Client } from '../../http/context.ts';
import { InvalidAccessToken, ValidationFailed } from '../../http/refusals.ts';
import type { SessionId } from '../../kernel/id.ts';
import type { Hasher } from '../../platform/hasher.ts';
import type { PasswordLoginStore } from './password-login.store.ts';

export interface PasswordLoginDeps {
  store: PasswordLoginStore;
  hasher: Hasher;
  newSession: DrawNewSession;
  tokens: Tokens;
  grantScopes: GrantScopes;
  verifyAccessToken: VerifyAccessToken;
}

export interface LoginRequest {
  email: Email;
  password: string;
  /** Scopes asked for by name; null for the usual ones. */
  scope: string | null;
  /** The access token of the session that this login replaces, as it was presented. */
  presentedToken: string | undefined;
}

export type PasswordLogin = (request: LoginRequest, client: Client) => Promise<TokenResponse>;

/** A hash may be replaced by another login's rehash while this one verifies it; twice is not plausible. */
const mostTries = 3;

/** Logs in. @throws InvalidCredentials, ValidationFailed, Overloaded */
export const makePasswordLogin = (deps: PasswordLoginDeps): PasswordLogin => {
  const { store, hasher, newSession, tokens } = deps;
  return async (request, client) => {
    tokens.requireKey();
    const password = normalizePassword(request.password);
    for (let tries = 0; tries < mostTries; tries += 1) {
      const user = await verified(deps, request.email, password, client);
      if (request.scope !== null) refuseEmptyScope(deps.grantScopes(user.heldScopes, request.scope));
      const betterHash = hasher.needsRehash(user.passwordHash, password) ? await hasher.hash(password) : undefined;
      const { token, birth } = newSession(client, request.scope);
      const session = await store.open({
        birth: { ...birth, userId: user.id, verifiedHash: user.passwordHash },
        betterHash,
        presentedSession: presentedSession(request.presentedToken, deps.verifyAccessToken),
        client,
      });
      if (!session) continue;
      Object.assign(client.trace, { userId: user.id, sessionId: session.id });
      return tokens.respond(session, formatToken(token));
    }
    throw new InvalidCredentials('the password changed while it was verified');
  };
};

/** The account whose password this is. The same work and the same answer, whatever is wrong. */
async function verified(deps: PasswordLoginDeps, email: Email, password: string, client: Client): Promise<Credentials> {
  const { store, hasher } = deps;
  const user = await store.find(email);
  const matches = await (user ? hasher.verify(user.passwordHash, password) : hasher.verifyDecoy(password));
  if (user?.isActive && matches) return user;
  const reason = !user ? 'unknown_account' : matches ? 'account_disabled' : 'wrong_password';
  await store.refuse(user?.id, reason, client);
  throw new InvalidCredentials(reason);
}

function refuseEmptyScope(granted: readonly string[]): void {
  if (granted.length === 0)
    throw new ValidationFailed([{ path: 'scope', message: 'must name at least one scope that your roles give' }]);
}

/** A login ends the session it was called with (ASVS 7.2.4); a token that is no longer good ends nothing. */
function presentedSession(token: string | undefined, verify: VerifyAccessToken): SessionId | undefined {
  if (token === undefined) return undefined;
  try {
    return verify(token).sessionId;
  } catch (error) {
    if (error instanceof InvalidAccessToken) return undefined;
    throw error;
  }
}
