import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import {
  formatToken,
  forward,
  hashToken,
  newSalt,
  type RefreshToken,
  successor,
} from '../../core/sessions/refresh-token.ts';
import type { TokenResponse } from '../../http/schemas/token-response.ts';
import type { GrantScopes, LiveSession, Tokens } from '../../core/tokens/issue-tokens.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { ValidationFailed } from '../../core/errors.ts';
import { NotReady } from '../../lib/errors.ts';
import { secretsEqual } from '../../lib/secrets.ts';
import type { Metrics, RefreshOutcome } from '../../platform/metrics.ts';
import type { RefreshStore, Standing } from './refresh.store.ts';

export interface RefreshDeps {
  store: RefreshStore;
  tokens: Tokens;
  metrics: Pick<Metrics, 'refreshed'>;
  grantScopes: GrantScopes;
}

/** A live session, the token that is its current one, and how it came to be that. */
interface Turned {
  outcome: RefreshOutcome;
  session: LiveSession;
  token: RefreshToken;
}

/** Undefined: what was presented is no token of ours. `scope` narrows the access token, and not the session's grant. */
export type Refresh = (
  presented: RefreshToken | undefined,
  request: RequestInfo,
  scope?: string | null,
) => Promise<TokenResponse>;

/** The session that a token would turn now, or get the successor of; undefined for any other. Changes nothing. */
export type LookAtRefreshToken = (token: RefreshToken) => Promise<LiveSession | undefined>;

export const makeLookAtRefreshToken =
  ({ store }: Pick<RefreshDeps, 'store'>): LookAtRefreshToken =>
  async (token) => {
    const standing = await store.standing(token);
    if (standing?.status !== 'live') return undefined;
    return isCurrent(token, standing) || (standing.covered && isPredecessor(token, standing)) ? standing : undefined;
  };

/** A turn and a look at the row may straddle somebody else's turn; more often than this is not plausible. */
const maxTries = 3;

/**
 * Turns the ratchet once: RFC 6749 section 6, rotated as RFC 9700 section 4.14.2 asks, but for racers and retries
 * inside the leeway, who get the successor that the winner got. @throws InvalidRefreshToken
 */
export const makeRefresh = ({ store, tokens, metrics, grantScopes }: RefreshDeps): Refresh => {
  const look = makeLookAtRefreshToken({ store });
  /**
   * RFC 6749 section 6: "MUST NOT include any scope not originally granted". Looked at before the turn, so that a
   * refused scope spends nothing; a token that is not good is for the turn to judge.
   */
  const refuseWider = async (token: RefreshToken, scope: string): Promise<void> => {
    const session = await look(token);
    const granted = session && grantScopes(session.heldScopes, session.askedScope);
    if (granted && !scope.split(' ').every((name) => granted.includes(name)))
      throw new ValidationFailed([{ path: 'scope', message: 'must not be wider than what was granted' }]);
  };

  const replayed = async (token: RefreshToken, standing: Standing, request: RequestInfo): Promise<Turned> => {
    const current = newestOf(token, standing);
    // A genuine token that does not lead to the row's: the database was restored. Nobody reused anything.
    if (!secretsEqual(hashToken(current), standing.tokenHash))
      throw new InvalidRefreshToken('off the chain', 'unknown_session');
    const elsewhere = standing.turnedFrom !== request.network;
    if (elsewhere) await store.recordReplayElsewhere(standing, request);
    request.annotate({ reason: 'replayed' });
    return { outcome: elsewhere ? 'replayed_elsewhere' : 'replayed', session: standing, token: current };
  };

  const turn = async (token: RefreshToken, request: RequestInfo): Promise<Turned> => {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const salt = newSalt();
      const next = successor(token, salt);
      const session = await store.turn(token, next, salt, request.network);
      if (session) return { outcome: 'rotated', session, token: next };
      const standing = await store.standing(token);
      if (!standing) throw new InvalidRefreshToken('no such session', 'unknown_session');
      if (standing.status !== 'live') {
        await store.recordDead(standing, request);
        throw new InvalidRefreshToken(standing.status, standing.status);
      }
      if (isCurrent(token, standing)) continue;
      if (token.generation >= standing.generation) throw new InvalidRefreshToken('ahead', 'unknown_session');
      if (standing.covered) return replayed(token, standing, request);
      // Eight turns inside one leeway: the ninth last may be covered too, but its time is not kept. Nothing is revoked.
      if (standing.crowded) throw new InvalidRefreshToken('too far behind', 'expired');
      await store.revokeReused(standing.id, standing.userId, request);
      throw new InvalidRefreshToken('reused', 'reused');
    }
    throw new NotReady('the session kept changing');
  };

  const refresh: Refresh = async (token, request, scope = null) => {
    if (!token) throw new InvalidRefreshToken('form or MAC');
    request.annotate({ sessionId: token.sessionId });
    tokens.requireKey();
    if (scope !== null) await refuseWider(token, scope);
    const { outcome, session, token: current } = await turn(token, request);
    metrics.refreshed(outcome);
    request.annotate({ userId: session.userId });
    return tokens.respond(session, formatToken(current), scope);
  };

  return (presented, request, scope) =>
    refresh(presented, request, scope).catch((error: unknown) => {
      if (error instanceof InvalidRefreshToken) metrics.refreshed(error.reason === 'reused' ? 'reused' : 'refused');
      throw error;
    });
};

const newestOf = (token: RefreshToken, { turnSalts, generation }: Standing): RefreshToken =>
  forward(token, turnSalts.slice(0, generation - token.generation));

/** Whether the steps from this token lead to the row's. */
const isPredecessor = (token: RefreshToken, standing: Standing): boolean =>
  token.generation < standing.generation && secretsEqual(hashToken(newestOf(token, standing)), standing.tokenHash);

const isCurrent = (token: RefreshToken, { generation, tokenHash }: Standing): boolean =>
  token.generation === generation && secretsEqual(hashToken(token), tokenHash);
