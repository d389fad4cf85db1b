import type { Audit } from '../../core/audit/audit.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { LiveSession } from '../../core/sessions/live-session.sql.ts';
import { advance, hashToken, type RefreshToken } from '../../core/sessions/refresh-token.ts';
import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import { lockUserOfSession } from '../../core/sessions/sessions.sql.ts';
import { secretsEqual } from '../../lib/secrets.ts';
import type { RefreshOutcome } from '../../platform/metrics.ts';
import type { Database } from '../../platform/postgres.ts';
import { markReplayed, type SessionState } from './refresh.sql.ts';
import { recordRefusedToken, revokeReused } from './refused-refresh.ts';

interface JudgeDeps {
  db: Database;
  audit: Audit;
}

export interface Refreshed {
  outcome: RefreshOutcome;
  session: LiveSession;
  currentToken: RefreshToken;
}

/** Decides about a token that did not rotate its session. Commits audit events and revocations before it throws. */
export async function judgeToken(
  deps: JudgeDeps,
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
async function replay(deps: JudgeDeps, token: RefreshToken, state: SessionState, request: RequestInfo) {
  const isElsewhere = state.rotationNetwork !== request.network;
  if (isElsewhere && !state.wasReplayed) await recordReplay(deps, token, state, request);
  request.annotate({ reason: 'replayed' });
  const outcome: RefreshOutcome = isElsewhere ? 'replayed_elsewhere' : 'replayed';
  return { outcome, session: state, currentToken: currentTokenOf(token, state) };
}

/** Audits the first replay of a generation from another network, so that replays cannot fill the audit trail. */
const recordReplay = ({ db, audit }: JudgeDeps, token: RefreshToken, state: SessionState, request: RequestInfo) =>
  db.transaction(async (tx) => {
    const { id: sessionId, userId } = state;
    await lockUserOfSession(tx, sessionId);
    if ((await markReplayed(tx, sessionId, token.generation)) === 0) return;
    await audit.record(tx, request, { type: 'refresh_token.replayed_elsewhere', userId, sessionId });
  });

const currentTokenOf = (token: RefreshToken, { salts, generation }: SessionState): RefreshToken =>
  advance(token, salts.slice(0, generation - token.generation));

export const isCurrent = (token: RefreshToken, { generation, tokenHash }: SessionState): boolean =>
  token.generation === generation && secretsEqual(hashToken(token), tokenHash);

/** Whether the stored salts lead from this token to the current one. */
export const isPredecessor = (token: RefreshToken, state: SessionState): boolean =>
  token.generation < state.generation && secretsEqual(hashToken(currentTokenOf(token, state)), state.tokenHash);
