import { readTrail, type TrailEvent } from '../../core/audit/audit-events.store.ts';
import { isCallerWith } from '../../core/authorization/caller.store.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { EventId, UserId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';

export interface AuditFilter {
  /** Whose account it concerns. */
  userId: UserId | undefined;
  type: string | undefined;
}

export const makeAuditLogStore = (db: Database) => ({
  /** The newest first, from below `before`; undefined where the caller is dead. @throws InsufficientScope */
  async list(
    principal: Principal,
    filter: AuditFilter,
    before: EventId | undefined,
    limit: number,
  ): Promise<TrailEvent[] | undefined> {
    if (!(await isCallerWith(db, principal, 'audit:read'))) return undefined;
    return readTrail(db, { ...filter, before, order: 'newest first', limit });
  },
});

export type AuditLogStore = ReturnType<typeof makeAuditLogStore>;
