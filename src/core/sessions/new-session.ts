import type { Client } from '../../http/context.ts';
import type { Clock } from '../../kernel/clock.ts';
import { newId } from '../../kernel/id.ts';
import { hashToken, type Ratchet, type RefreshToken } from './ratchet.ts';
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
  (client: Client, askedScope: string | null): NewSession => {
    const token = ratchet.start(newId(clock.nowMs()));
    const tokenHash = hashToken(token);
    return {
      token,
      birth: { id: token.sessionId, tokenHash, askedScope, client, refreshTtlSeconds, sessionTtlSeconds },
    };
  };

export type DrawNewSession = ReturnType<typeof makeNewSession>;
