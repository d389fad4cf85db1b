import type { RefreshToken } from '../../core/sessions/refresh-token.ts';
import type { Database } from '../../platform/postgres.ts';
import { isCurrent, isPredecessor } from './judge-token.ts';
import { findSessionState, type SessionState } from './refresh.sql.ts';

interface FindRotatableSessionDeps {
  db: Database;
  refreshGracePeriodSeconds: number;
  /** Sessions of users with an unverified email address are not rotated. */
  requiresVerifiedEmail: boolean;
}

/** Returns the session whose tokens a refresh with this token would return now, or undefined. Changes nothing. */
export type FindRotatableSession = (token: RefreshToken) => Promise<SessionState | undefined>;

export const makeFindRotatableSession =
  ({ db, refreshGracePeriodSeconds, requiresVerifiedEmail }: FindRotatableSessionDeps): FindRotatableSession =>
  async (token) => {
    const state = await findSessionState(db, token, refreshGracePeriodSeconds);
    if (state?.status !== 'live' || (requiresVerifiedEmail && !state.emailVerified)) return undefined;
    return isCurrent(token, state) || (state.isWithinGracePeriod && isPredecessor(token, state)) ? state : undefined;
  };
