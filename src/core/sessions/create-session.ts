import type { Clock } from '../../lib/clock.ts';
import { newId, type SessionId, type UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import type { RequestInfo } from '../request-info.ts';
import type { LiveSession } from './live-session.sql.ts';
import { hashToken, type Ratchet, type RefreshToken } from './refresh-token.ts';
import { findSession, insertSession, revokeExcessSessions, revokeSession } from './sessions.sql.ts';

export interface NewSession {
  userId: UserId;
  /** The password hash that the login was verified against. */
  verifiedHash: string;
  /** The scope that the login requested; null if it requested none. */
  requestedScope: string | null;
  request: RequestInfo;
}

export interface CreatedSession {
  session: LiveSession;
  refreshToken: RefreshToken;
}

/** Creates a session. Returns undefined if the password was changed or the user was disabled since the password was verified. */
export type CreateSession = (tx: Transaction, newSession: NewSession) => Promise<CreatedSession | undefined>;

export interface CreateSessionDeps {
  ratchet: Ratchet;
  clock: Clock;
  refreshTtlSeconds: number;
  sessionTtlSeconds: number;
}

export const makeCreateSession =
  ({ ratchet, clock, refreshTtlSeconds, sessionTtlSeconds }: CreateSessionDeps): CreateSession =>
  async (tx, newSession) => {
    const id = newId<SessionId>(clock.nowMs());
    const refreshToken = ratchet.start(id);
    const tokenHash = hashToken(refreshToken);
    const inserted = await insertSession(tx, { ...newSession, id, tokenHash, refreshTtlSeconds, sessionTtlSeconds });
    if (inserted === 0) return undefined;
    await revokeExcessSessions(tx, newSession.userId, id);
    const session = await findSession(tx, id);
    if (!session) throw new Error('the session that was just inserted does not exist');
    return { session, refreshToken };
  };

/** Revokes the session that a login presented, even if it belongs to another user (ASVS 5.0, 7.2.4). */
export async function replaceSession(
  tx: Transaction,
  audit: Audit,
  sessionId: SessionId,
  actor: { userId: UserId },
  request: RequestInfo,
): Promise<void> {
  const reason = 'replaced_by_login';
  const userId = await revokeSession(tx, sessionId, reason);
  if (userId) await audit.record(tx, request, { type: 'session.ended', reason, actor, userId, sessionId });
}
