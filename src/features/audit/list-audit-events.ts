import {
  type AuditEventFilter,
  type AuditEventRow,
  findEvents,
  planForParameters,
} from '../../core/audit/audit-events.sql.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { ValidationFailed } from '../../core/errors.ts';
import type { EventId } from '../../lib/ids.ts';
import { type Page, toPage } from '../../lib/page.ts';
import type { Database } from '../../platform/postgres.ts';

export interface ListAuditEventsDeps {
  db: Database;
  authorizeRead: Authorization['authorizeRead'];
}

/**
 * Lists events of the audit trail, newest first, beginning after `cursor`.
 * @throws InvalidAccessToken, InsufficientScope, ValidationFailed
 */
export const makeListAuditEvents =
  ({ db, authorizeRead }: ListAuditEventsDeps) =>
  async (
    principal: Principal,
    filter: AuditEventFilter,
    cursor: EventId | undefined,
    limit: number,
  ): Promise<Page<AuditEventRow>> => {
    await authorizeRead(db, principal, { scopes: ['audit:read'] });
    const { since, until } = filter;
    if (since && until && since >= until)
      throw new ValidationFailed([{ path: 'until', message: 'must be later than since' }]);
    const events = await db.transaction(async (tx) => {
      await planForParameters(tx);
      return findEvents(tx, { ...filter, before: cursor, order: 'newest first', limit: limit + 1 });
    });
    return toPage(events, limit);
  };
