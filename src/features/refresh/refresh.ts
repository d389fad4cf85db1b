import type { Audit } from '../../core/audit/audit.ts';
import { ValidationFailed } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { LiveSession } from '../../core/sessions/live-session.sql.ts';
import { advance, hashToken, newSalt, next, type RefreshToken } from '../../core/sessions/refresh-token.ts';
import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import { lockUserOfSession } from '../../core/sessions/sessions.sql.ts';
import type { IssuedTokens, Tokens } from '../../core/tokens/issue-tokens.ts';
import { NotReady } from '../../lib/errors.ts';
import { secretsEqual } from '../../lib/secrets.ts';
import type { Metrics, RefreshOutcome } from '../../platform/metrics.ts';
import type { Database } from '../../platform/postgres.ts';
import { findSessionState, markReplayed, rotateSession, type SessionState } from './refresh.sql.ts';
import { recordRefusedToken, revokeReused, revokeUnverified } from './refused-refresh.ts';

export interface RefreshDeps {
  db: Database;
  audit: Audit;
  tokens: Tokens;
  metrics: Pick<Metrics, 'refreshed'>;
  refreshTtlSeconds: number;
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

/** Returns the session whose tokens a refresh with this token would return now, or undefined. Changes nothing. */
export type FindRotatableSession = (token: RefreshToken) => Promise<SessionState | undefined>;

interface Refreshed {
  outcome: RefreshOutcome;
  session: LiveSession;
  currentToken: RefreshToken;
}

/** Between an UPDATE and a SELECT, another request can rotate the session. Three times in a row is implausible. */
const maxTries = 3;

/**
 * Exchanges a refresh token for its successor (RFC 6749 section 6, RFC 9700 section 4.14.2). Concurrent requests and retries
 * within the grace period get the same successor. @throws InvalidRefreshToken, ValidationFailed, NotReady
 */
export const makeRefresh = (deps: RefreshDeps): Refresh => {
  const { db, tokens, metrics, refreshTtlSeconds, refreshGracePeriodSeconds: gracePeriodSeconds } = deps;

  const rotate = async (token: RefreshToken, request: RequestInfo): Promise<Refreshed> => {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const salt = newSalt();
      const successor = next(token, salt);
      const rotation = { from: token, to: successor, salt, network: request.network };
      const session = await rotateSession(db, { ...rotation, refreshTtlSeconds, gracePeriodSeconds });
      if (session) return { outcome: 'rotated', session, currentToken: successor };
      const state = await findSessionState(db, token, gracePeriodSeconds);
      const isRotatableAgain = state?.status === 'live' && isCurrent(token, state) && !state.isRotationLimited;
      if (!isRotatableAgain) return judge(deps, token, state, request);
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

/** Decides about a token that did not rotate its session. Commits audit events and revocations before it throws. */
async function judge(
  deps: RefreshDeps,
  token: RefreshToken,
  state: SessionState | undefined,
  request: RequestInfo,
): Promise<Refreshed> {
  if (!state) throw new InvalidRefreshToken('no such session', 'unknown_session');
  if (state.status !== 'live') {
    await recordRefusedToken(deps, state, request);
    throw new InvalidRefreshToken(state.status, state.status);
  }
  // The session has been rotated eight times within the grace period: the client continues with the same token.
  if (isCurrent(token, state)) return { outcome: 'unchanged', session: state, currentToken: token };
  // Only a restored backup explains these two. Nothing was reused.
  if (token.generation >= state.generation) throw new InvalidRefreshToken('ahead of the row', 'unknown_session');
  if (state.isWithinGracePeriod && !isPredecessor(token, state))
    throw new InvalidRefreshToken('not in the chain', 'unknown_session');
  if (state.isWithinGracePeriod) return replay(deps, token, state, request);
  await revokeReused(deps, state, request);
  throw new InvalidRefreshToken('reused', 'reused');
}

/** A token that was presented again within its grace period gets the current token. The session stays as it is. */
async function replay(deps: RefreshDeps, token: RefreshToken, state: SessionState, request: RequestInfo) {
  const isElsewhere = state.rotationNetwork !== request.network;
  if (isElsewhere && !state.wasReplayed) await recordReplay(deps, token, state, request);
  request.annotate({ reason: 'replayed' });
  const outcome: RefreshOutcome = isElsewhere ? 'replayed_elsewhere' : 'replayed';
  return { outcome, session: state, currentToken: currentTokenOf(token, state) };
}

/** Audits the first replay of a generation from another network, so that replays cannot fill the audit trail. */
const recordReplay = ({ db, audit }: RefreshDeps, token: RefreshToken, state: SessionState, request: RequestInfo) =>
  db.transaction(async (tx) => {
    const { id: sessionId, userId } = state;
    await lockUserOfSession(tx, sessionId);
    if ((await markReplayed(tx, sessionId, token.generation)) === 0) return;
    await audit.record(tx, request, { type: 'refresh_token.replayed_elsewhere', userId, sessionId });
  });

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

export const makeFindRotatableSession =
  ({
    db,
    refreshGracePeriodSeconds,
    requiresVerifiedEmail,
  }: Pick<RefreshDeps, 'db' | 'refreshGracePeriodSeconds' | 'requiresVerifiedEmail'>): FindRotatableSession =>
  async (token) => {
    const state = await findSessionState(db, token, refreshGracePeriodSeconds);
    if (state?.status !== 'live' || (requiresVerifiedEmail && !state.emailVerified)) return undefined;
    return isCurrent(token, state) || (state.isWithinGracePeriod && isPredecessor(token, state)) ? state : undefined;
  };

const currentTokenOf = (token: RefreshToken, { salts, generation }: SessionState): RefreshToken =>
  advance(token, salts.slice(0, generation - token.generation));

const isCurrent = (token: RefreshToken, { generation, tokenHash }: SessionState): boolean =>
  token.generation === generation && secretsEqual(hashToken(token), tokenHash);

/** Whether the stored salts lead from this token to the current one. */
const isPredecessor = (token: RefreshToken, state: SessionState): boolean =>
  token.generation < state.generation && secretsEqual(hashToken(currentTokenOf(token, state)), state.tokenHash);
