import type { TrailEvent } from '../../core/audit/audit-events.store.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { EventId } from '../../lib/ids.ts';
import type { AuditFilter, AuditLogStore } from './audit.store.ts';

export interface AuditPage {
  events: TrailEvent[];
  /** Where the next page begins; undefined at the end. */
  next: EventId | undefined;
}

/** @throws InvalidAccessToken, InsufficientScope */
export type ListEvents = (
  principal: Principal,
  filter: AuditFilter,
  before: EventId | undefined,
  limit: number,
) => Promise<AuditPage>;

export const makeListEvents =
  ({ store }: { store: AuditLogStore }): ListEvents =>
  async (principal, filter, before, limit) => {
    const rows = requireLive(await store.list(principal, filter, before, limit + 1));
    const events = rows.slice(0, limit);
    return { events, next: rows.length > limit ? events.at(-1)?.id : undefined };
  };

/** An event as the API gives it, and the export. */
export const toEvent = (event: TrailEvent) => ({
  id: event.id,
  occurred_at: event.occurredAt.toISOString(),
  type: event.type,
  outcome: event.outcome,
  reason: event.reason,
  actor_id: event.actorId,
  user_id: event.userId,
  session_id: event.sessionId,
  api_key_id: event.apiKeyId,
  role: event.role,
  kid: event.kid,
  request_id: event.requestId,
  ip: event.ip,
  user_agent: event.userAgent,
  email: event.email,
});
