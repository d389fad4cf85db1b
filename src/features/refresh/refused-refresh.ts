// What a refused refresh leaves behind: the revocation of its session, and audit events.
import type { Audit } from '../../core/audit/audit.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { LiveSession } from '../../core/sessions/live-session.sql.ts';
import { InvalidRefreshToken } from '../../core/sessions/sessions.errors.ts';
import { lockUserOfSession, revokeSession } from '../../core/sessions/sessions.sql.ts';
import type { Database } from '../../platform/postgres.ts';
import { markRefused, type SessionState } from './refresh.sql.ts';

interface Deps {
  db: Database;
  audit: Audit;
}

/** Revokes a session whose spent token was presented after its grace period: a thief may have one of its tokens. */
export const revokeReused = ({ db, audit }: Deps, { id: sessionId, userId }: SessionState, request: RequestInfo) =>
  db.transaction(async (tx) => {
    await lockUserOfSession(tx, sessionId);
    if (!(await revokeSession(tx, sessionId, 'reuse_detected'))) return;
    await audit.record(tx, request, { type: 'refresh_token.reused', outcome: 'failure', userId, sessionId });
  });

/**
 * Revokes a session from before EMAIL_VERIFICATION was `required`, or before an administrator marked the address as not verified.
 * The next login says why. @throws InvalidRefreshToken
 */
export async function revokeUnverified(
  { db, audit }: Deps,
  { id: sessionId, userId }: LiveSession,
  request: RequestInfo,
): Promise<never> {
  const reason = 'email_not_verified';
  await db.transaction(async (tx) => {
    await lockUserOfSession(tx, sessionId);
    if (!(await revokeSession(tx, sessionId, reason))) return;
    await audit.record(tx, request, { type: 'session.ended', reason, userId, sessionId });
  });
  throw new InvalidRefreshToken(reason, 'revoked');
}

/** Audits the first refused token of an ended session and no later ones, which could fill the audit trail. */
export async function recordRefusedToken(
  { db, audit }: Deps,
  state: SessionState,
  request: RequestInfo,
): Promise<void> {
  const { id: sessionId, userId, status: reason } = state;
  if (state.wasRefused) return;
  await db.transaction(async (tx) => {
    await lockUserOfSession(tx, sessionId);
    if ((await markRefused(tx, sessionId)) === 0) return;
    await audit.record(tx, request, { type: 'refresh_token.refused', outcome: 'failure', reason, userId, sessionId });
  });
}
