import type { ApiKeyId, EventId, SessionId, UserId } from '../../lib/ids.ts';
import { type Transaction } from '../../platform/postgres.ts';
import { sql } from '../../platform/sql.ts';

/** An event as it is read; what is personal is null once it was erased, and where there was nothing. */
export interface TrailEvent {
  id: EventId;
  occurredAt: Date;
  type: string;
  outcome: 'success' | 'failure';
  reason: string | null;
  actorId: UserId | null;
  userId: UserId | null;
  sessionId: SessionId | null;
  apiKeyId: ApiKeyId | null;
  role: string | null;
  kid: string | null;
  requestId: string | null;
  ip: string | null;
  userAgent: string | null;
  email: string | null;
}

export interface TrailQuery {
  /** Whose account it concerns. */
  userId?: UserId | undefined;
  type?: string | undefined;
  /** Above, or from this id on. */
  from?: EventId | undefined;
  after?: EventId | undefined;
  /** Below this id. */
  before?: EventId | undefined;
  order: 'newest first' | 'oldest first';
  limit: number;
}

const nothing = sql``;

/** A page of the trail. Ids begin with the time, so that an event which comes meanwhile shifts no page. */
export function readTrail(tx: Transaction, query: TrailQuery): Promise<TrailEvent[]> {
  const { userId, type, from, after, before, order, limit } = query;
  const direction = order === 'newest first' ? sql`DESC` : sql`ASC`;
  return tx.$queryRaw<TrailEvent[]>`
    SELECT page.*, p.ip, p.user_agent AS "userAgent", p.email
    FROM (
      SELECT e.id, e.occurred_at AS "occurredAt", e.type, e.outcome, e.reason, e.actor_id AS "actorId",
             e.user_id AS "userId", e.session_id AS "sessionId", e.api_key_id AS "apiKeyId", e.role, e.kid,
             e.request_id AS "requestId"
      FROM audit_events AS e
      WHERE true ${userId ? sql`AND e.user_id = ${userId}::uuid` : nothing}
        ${type === undefined ? nothing : sql`AND e.type = ${type}`}
        ${from ? sql`AND e.id >= ${from}::uuid` : nothing}
        ${after ? sql`AND e.id > ${after}::uuid` : nothing}
        ${before ? sql`AND e.id < ${before}::uuid` : nothing}
      ORDER BY e.id ${direction} LIMIT ${limit}
    ) AS page LEFT JOIN audit_personal_data AS p ON p.event_id = page.id
    ORDER BY page.id ${direction}`;
}
