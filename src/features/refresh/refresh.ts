import type { Audit } from '../../core/audit/audit.ts';
import { ValidationFailed } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { hashToken, newSalt, next, type RefreshToken } from '../../core/sessions/refresh-token.ts';
import type { RotateSession } from '../../core/sessions/rotate-session.ts';
import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import type { IssuedTokens, Tokens } from '../../core/tokens/issue-tokens.ts';
import { NotReady } from '../../lib/errors.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeFindRotatableSession } from './find-rotatable-session.ts';
import { isCurrent, judgeToken, type Refreshed } from './judge-token.ts';
import { findSessionState } from './refresh.sql.ts';
import { revokeUnverified } from './refused-refresh.ts';

export interface RefreshDeps {
  db: Database;
  audit: Audit;
  tokens: Tokens;
  metrics: Pick<Metrics, 'refreshed'>;
  rotateSession: RotateSession;
  refreshGracePeriodSeconds: number;
  /** Ends sessions of users who could not log in, because their email address is not verified. */
  requiresVerifiedEmail: boolean;
}

/** `token` is undefined if this service did not issue it. `scope` narrows the access token, but not the session. */
export type Refresh = (
  token: RefreshToken | undefined,
  request: RequestInfo,
  scope?: string | null,
) => Promise<IssuedTokens>;

/** Between an UPDATE and a SELECT, another request can rotate the session. Three times in a row is implausible. */
const maxTries = 3;

/**
 * Exchanges a refresh token for its successor (RFC 6749 section 6, RFC 9700 section 4.14.2). Concurrent requests and retries
 * within the grace period get the same successor. @throws InvalidRefreshToken, ValidationFailed, NotReady, Overloaded
 */
export const makeRefresh = (deps: RefreshDeps): Refresh => {
  const { db, tokens, metrics, rotateSession, refreshGracePeriodSeconds: gracePeriodSeconds } = deps;

  const rotate = async (token: RefreshToken, request: RequestInfo): Promise<Refreshed> => {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const salt = newSalt();
      const successor = next(token, salt);
      const { sessionId, generation } = token;
      const hashes = { hash: hashToken(token), nextHash: hashToken(successor) };
      const session = await rotateSession({ sessionId, generation, ...hashes, salt, network: request.network });
      if (session) return { outcome: 'rotated', session, currentToken: successor };
      const state = await findSessionState(db, token, gracePeriodSeconds);
      const isRotatableAgain = state?.status === 'live' && isCurrent(token, state) && !state.isRotationLimited;
      if (!isRotatableAgain) return judgeToken(deps, token, state, request);
    }
    throw new NotReady('the session kept changing');
  };

  const refresh = async (token: RefreshToken | undefined, request: RequestInfo, scope: string | null) => {
    if (!token) throw new InvalidRefreshToken('format or MAC');
    request.annotate({ sessionId: token.sessionId });
    tokens.requireKey();
    if (scope !== null) await requireGrantedScope(deps, token, scope);
    const { outcome, session, currentToken } = await rotate(token, request);
    if (deps.requiresVerifiedEmail && !session.emailVerified) await revokeUnverified(deps, session, request);
    metrics.refreshed(outcome);
    request.annotate({ userId: session.userId });
    return tokens.issue(session, currentToken, scope);
  };

  return (token, request, scope = null) =>
    refresh(token, request, scope).catch((error: unknown) => {
      if (error instanceof InvalidRefreshToken) metrics.refreshed(error.reason === 'reused' ? 'reused' : 'refused');
      throw error;
    });
};

/**
 * RFC 6749 section 6: the scope "MUST NOT include any scope not originally granted". Checked before the rotation, so that a refused
 * scope does not spend the token. Invalid tokens are left to the rotation.
 */
async function requireGrantedScope(deps: RefreshDeps, token: RefreshToken, scope: string): Promise<void> {
  const session = await makeFindRotatableSession(deps)(token);
  const granted = session && deps.tokens.grantedScopes(session);
  if (granted && !scope.split(' ').every((name) => granted.includes(name)))
    throw new ValidationFailed([{ path: 'scope', message: 'must not exceed the granted scope' }]);
}
