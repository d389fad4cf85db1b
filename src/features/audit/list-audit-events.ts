import { type AuditEventRow, findEvents } from '../../core/audit/audit-events.sql.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { EventId, UserId } from '../../lib/ids.ts';
import { type Page, toPage } from '../../lib/page.ts';
import type { Database } from '../../platform/postgres.ts';

export interface ListAuditEventsDeps {
  db: Database;
  authorizeRead: Authorization['authorizeRead'];
}

export interface AuditEventFilter {
  /** The user whose account the event concerns. */
  userId: UserId | undefined;
  type: string | undefined;
}

/** Lists events of the audit trail, newest first, beginning after `cursor`. @throws InvalidAccessToken, InsufficientScope */
export const makeListAuditEvents =
  ({ db, authorizeRead }: ListAuditEventsDeps) =>
  async (
    principal: Principal,
    { userId, type }: AuditEventFilter,
    cursor: EventId | undefined,
    limit: number,
  ): Promise<Page<AuditEventRow>> => {
    await authorizeRead(db, principal, { scopes: ['audit:read'] });
    const events = await findEvents(db, { userId, type, before: cursor, order: 'newest first', limit: limit + 1 });
    return toPage(events, limit);
  };
