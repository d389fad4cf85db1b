import { InvalidRefreshToken } from '../../core/tokens/refresh-token.errors.ts';
import { formatToken, forward, hashToken, newSalt, type RefreshToken, successor } from '../../core/sessions/ratchet.ts';
import type { TokenResponse } from '../../core/tokens/token-response.ts';
import type { LiveSession, Tokens } from '../../core/tokens/tokens.ts';
import type { Client } from '../../http/context.ts';
import { NotReady } from '../../kernel/refusal.ts';
import { secretsEqual } from '../../kernel/secret.ts';
import type { Metrics, RefreshOutcome } from '../../platform/metrics.ts';
import type { RefreshStore, Standing } from './refresh.store.ts';

export interface RefreshDeps {
  store: RefreshStore;
  tokens: Tokens;
  metrics: Pick<Metrics, 'refreshed'>;
}

/** A live session, the token that is its current one, and how it came to be that. */
interface Turned {
  outcome: RefreshOutcome;
  session: LiveSession;
  token: RefreshToken;
}

/** Undefined: what was presented is no token of ours. */
export type Refresh = (presented: RefreshToken | undefined, client: Client) => Promise<TokenResponse>;

/** A turn and a look at the row may straddle somebody else's turn; more often than this is not plausible. */
const mostTries = 3;

/**
 * Turns the ratchet once: RFC 6749 section 6, rotated as RFC 9700 section 4.14.2 asks, but for racers and retries
 * inside the leeway, who get the successor that the winner got. @throws InvalidRefreshToken
 */
export const makeRefresh = ({ store, tokens, metrics }: RefreshDeps): Refresh => {
  const replayed = async (token: RefreshToken, standing: Standing, client: Client): Promise<Turned> => {
    const current = forward(token, standing.turnSalts.slice(0, standing.generation - token.generation));
    // A genuine token that does not lead to the row's: the database was restored. Nobody reused anything.
    if (!secretsEqual(hashToken(current), standing.tokenHash))
      throw new InvalidRefreshToken('off the chain', 'unknown_session');
    const elsewhere = standing.turnedFrom !== client.network;
    if (elsewhere) await store.recordReplayElsewhere(standing, client);
    client.note({ reason: 'replayed' });
    return { outcome: elsewhere ? 'replayed_elsewhere' : 'replayed', session: standing, token: current };
  };

  const turn = async (token: RefreshToken, client: Client): Promise<Turned> => {
    for (let tries = 0; tries < mostTries; tries += 1) {
      const salt = newSalt();
      const next = successor(token, salt);
      const session = await store.turn(token, next, salt, client.network);
      if (session) return { outcome: 'turned', session, token: next };
      const standing = await store.standing(token);
      if (!standing) throw new InvalidRefreshToken('no such session', 'unknown_session');
      if (standing.status !== 'live') throw new InvalidRefreshToken(standing.status, standing.status);
      if (isCurrent(token, standing)) continue;
      if (token.generation >= standing.generation) throw new InvalidRefreshToken('ahead', 'unknown_session');
      if (standing.covered) return replayed(token, standing, client);
      // Eight turns inside one leeway: the ninth last may be covered too, but its time is not kept. Nothing is revoked.
      if (standing.crowded) throw new InvalidRefreshToken('too far behind', 'expired');
      await store.revokeReused(standing.id, standing.userId, client);
      throw new InvalidRefreshToken('reused', 'reused');
    }
    throw new NotReady('the session kept changing');
  };

  const refresh: Refresh = async (token, client) => {
    if (!token) throw new InvalidRefreshToken('form or MAC');
    client.note({ sessionId: token.sessionId });
    tokens.requireKey();
    const { outcome, session, token: current } = await turn(token, client);
    metrics.refreshed(outcome);
    client.note({ userId: session.userId });
    return tokens.respond(session, formatToken(current));
  };

  return (presented, client) =>
    refresh(presented, client).catch((error: unknown) => {
      if (error instanceof InvalidRefreshToken) metrics.refreshed(error.reason === 'reused' ? 'reused' : 'refused');
      throw error;
    });
};

const isCurrent = (token: RefreshToken, { generation, tokenHash }: Standing): boolean =>
  token.generation === generation && secretsEqual(hashToken(token), tokenHash);
