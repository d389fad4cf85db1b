import type { RequestInfo } from '../request-info.ts';
import type { Clock } from '../../lib/clock.ts';
import { newId } from '../../lib/ids.ts';
import { hashToken, type Ratchet, type RefreshToken } from './refresh-token.ts';
import type { Birth } from './sessions.store.ts';

export interface NewSessionDeps {
  ratchet: Ratchet;
  clock: Clock;
  refreshTtlSeconds: number;
  sessionTtlSeconds: number;
}

export interface NewSession {
  token: RefreshToken;
  birth: Omit<Birth, 'userId' | 'verifiedHash'>;
}

/** Draws a session's id and first token; it is born when `bear` finds what was verified still true. */
export const makeNewSession =
  ({ ratchet, clock, refreshTtlSeconds, sessionTtlSeconds }: NewSessionDeps) =>
  (request: RequestInfo, askedScope: string | null): NewSession => {
    const token = ratchet.start(newId(clock.nowMs()));
    const tokenHash = hashToken(token);
    return {
      token,
      birth: { id: token.sessionId, tokenHash, askedScope, request, refreshTtlSeconds, sessionTtlSeconds },
    };
  };

export type DrawNewSession = ReturnType<typeof makeNewSession>;
