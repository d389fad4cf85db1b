import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { SessionId } from '../../lib/ids.ts';
import { type Page, toPage } from '../../lib/page.ts';
import type { Database } from '../../platform/postgres.ts';
import { findLiveSessions, type SessionDetails } from './sessions.sql.ts';

export interface ListSessionsDeps {
  db: Database;
  authorizeRead: Authorization['authorizeRead'];
}

/** Lists the principal's own live sessions, newest first, beginning after `cursor`. @throws InvalidAccessToken */
export const makeListSessions =
  ({ db, authorizeRead }: ListSessionsDeps) =>
  async (principal: Principal, cursor: SessionId | undefined, limit: number): Promise<Page<SessionDetails>> => {
    const { userId } = await authorizeRead(db, principal);
    return toPage(await findLiveSessions(db, userId, cursor, limit + 1), limit);
  };
