import { readTrail, type TrailEvent } from '../../core/audit/trail.store.ts';
import { isCallerWith } from '../../core/sessions/caller.store.ts';
import type { Caller } from '../../http/authenticate.ts';
import type { EventId, UserId } from '../../kernel/id.ts';
import type { Database } from '../../platform/postgres.ts';

export interface AuditFilter {
  /** Whose account it concerns. */
  userId: UserId | undefined;
  type: string | undefined;
}

export const makeAuditLogStore = (db: Database) => ({
  /** The newest first, from below `before`; undefined where the caller is dead. @throws InsufficientScope */
  async list(
    caller: Caller,
    filter: AuditFilter,
    before: EventId | undefined,
    limit: number,
  ): Promise<TrailEvent[] | undefined> {
    if (!(await isCallerWith(db, caller, 'audit:read'))) return undefined;
    return readTrail(db, { ...filter, before, order: 'newest first', limit });
  },
});

export type AuditLogStore = ReturnType<typeof makeAuditLogStore>;
