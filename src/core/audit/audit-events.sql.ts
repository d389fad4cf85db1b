import type { ApiKeyId, EventId, SessionId, UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRows, type RowOf, sql } from '../../platform/sql.ts';

const columns = {
  id: column.uuid<EventId>(),
  occurredAt: column.timestamptz,
  type: column.text(),
  outcome: column.text<'success' | 'failure'>(),
  reason: column.nullable(column.text()),
  actorId: column.nullable(column.uuid<UserId>()),
  userId: column.nullable(column.uuid<UserId>()),
  sessionId: column.nullable(column.uuid<SessionId>()),
  apiKeyId: column.nullable(column.uuid<ApiKeyId>()),
  role: column.nullable(column.text()),
  kid: column.nullable(column.text()),
  requestId: column.nullable(column.text()),
  ip: column.nullable(column.text()),
  userAgent: column.nullable(column.text()),
  email: column.nullable(column.text()),
  clientRequestId: column.nullable(column.text()),
};

/** An event with its personal data, which is null if none was stored or if it was erased. */
export type AuditEventRow = RowOf<typeof columns>;

export interface AuditEventQuery {
  /** The user whose account the event concerns. */
  userId?: UserId | undefined;
  type?: string | undefined;
  /** Inclusive. */
  from?: EventId | undefined;
  /** Exclusive. */
  after?: EventId | undefined;
  /** Exclusive. */
  before?: EventId | undefined;
  order: 'newest first' | 'oldest first';
  limit: number;
}

const nothing = sql``;

/**
 * Finds a page of events. Ids start with the time, so that new events do not shift pages. SQL because the limit must apply before
 * the join, so that a page reads a bounded part of each partition.
 */
export function findEvents(tx: Transaction, query: AuditEventQuery): Promise<AuditEventRow[]> {
  const { userId, type, from, after, before, order, limit } = query;
  const direction = order === 'newest first' ? sql`DESC` : sql`ASC`;
  return queryRows(
    tx,
    columns,
    sql`
    SELECT page.*, p.ip, p.user_agent AS "userAgent", p.email, p.client_request_id AS "clientRequestId"
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
    ORDER BY page.id ${direction}`,
  );
}
