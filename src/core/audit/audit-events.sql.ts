import { type ApiKeyId, type EventId, minId, type SessionId, type UserId } from '../../lib/ids.ts';
import type { AddressRange } from '../../lib/network.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRows, type RowOf, sql, type SqlFragment } from '../../platform/sql.ts';
import type { EmailAddress } from '../users/email-address.ts';

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

/** Conditions that all must be true. */
export interface AuditEventFilter {
  /** The user whose account the event concerns. */
  userId?: UserId | undefined;
  type?: string | undefined;
  sessionId?: SessionId | undefined;
  /** The id of the request that caused the event: the service's own, or the one that the caller sent. */
  requestId?: string | undefined;
  /** The address that the event stores: that of the account at that time. */
  email?: EmailAddress | undefined;
  /** The network of the client address. */
  network?: AddressRange | undefined;
  /** Earliest `occurredAt`, inclusive. */
  since?: Date | undefined;
  /** Latest `occurredAt`, exclusive. */
  until?: Date | undefined;
}

export interface AuditEventQuery extends AuditEventFilter {
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
 * Ids have the time of the process, `occurred_at` that of the database. A time range reads this much more of the ids, so it finds the
 * events of every process whose clock is less than this far off. Tokens of a process with a worse clock are rejected anyway.
 */
const maxClockSkewMs = 10 * 60_000;

const idAt = (time: Date, offsetMs: number): EventId => minId<EventId>(Math.max(0, time.getTime() + offsetMs));

/** Conditions on an id column: the range that decides which partitions and which part of an index a page reads. */
const isInRange = (id: SqlFragment, { from, after, before, since, until }: AuditEventQuery): SqlFragment => sql`true
  ${from ? sql`AND ${id} >= ${from}::uuid` : nothing}
  ${after ? sql`AND ${id} > ${after}::uuid` : nothing}
  ${before ? sql`AND ${id} < ${before}::uuid` : nothing}
  ${since ? sql`AND ${id} >= ${idAt(since, -maxClockSkewMs)}::uuid` : nothing}
  ${until ? sql`AND ${id} < ${idAt(until, maxClockSkewMs)}::uuid` : nothing}`;

const isOf = ({ userId, type, sessionId, since, until }: AuditEventQuery): SqlFragment => sql`
  ${userId ? sql`AND e.user_id = ${userId}::uuid` : nothing}
  ${type === undefined ? nothing : sql`AND e.type = ${type}`}
  ${sessionId ? sql`AND e.session_id = ${sessionId}::uuid` : nothing}
  ${since ? sql`AND e.occurred_at >= ${since}::timestamptz` : nothing}
  ${until ? sql`AND e.occurred_at < ${until}::timestamptz` : nothing}`;

const hasAddress = ({ first, last }: AddressRange): SqlFragment =>
  first === last ? sql`AND d.ip::inet = ${first}::inet` : sql`AND d.ip::inet BETWEEN ${first}::inet AND ${last}::inet`;

/** Conditions on the personal data `d` of an event; undefined if there are none, so that the page need not read it. */
function isFrom(query: AuditEventQuery): SqlFragment | undefined {
  const { email, network } = query;
  if (email === undefined && network === undefined) return undefined;
  return sql`AND ${isInRange(sql`d.event_id`, query)}
    ${email === undefined ? nothing : sql`AND d.email = ${email}`} ${network ? hasAddress(network) : nothing}`;
}

/** One page of the events that match `query` and `requestId`. */
function page(query: AuditEventQuery, personal: SqlFragment | undefined, requestId: SqlFragment): SqlFragment {
  const data = personal ? sql`JOIN audit_personal_data AS d ON d.event_id = e.id` : nothing;
  return sql`
      (SELECT e.id, e.occurred_at AS "occurredAt", e.type, e.outcome, e.reason, e.actor_id AS "actorId",
              e.user_id AS "userId", e.session_id AS "sessionId", e.api_key_id AS "apiKeyId", e.role, e.kid,
              e.request_id AS "requestId"
       FROM audit_events AS e ${data}
       WHERE ${isInRange(sql`e.id`, query)} ${isOf(query)} ${personal ?? nothing} ${requestId}
       ORDER BY e.id ${directionOf(query)} LIMIT ${query.limit})`;
}

const directionOf = ({ order }: AuditEventQuery): SqlFragment => (order === 'newest first' ? sql`DESC` : sql`ASC`);

/** The two ids of a request are in two tables, and one condition on both could use no index. */
function pages(query: AuditEventQuery): SqlFragment {
  const { requestId } = query;
  const personal = isFrom(query);
  if (requestId === undefined) return page(query, personal, nothing);
  const own = page(query, personal, sql`AND e.request_id = ${requestId}`);
  const ofCaller = personal ?? sql`AND ${isInRange(sql`d.event_id`, query)}`;
  return sql`${own} UNION ${page(query, ofCaller, sql`AND d.client_request_id = ${requestId}`)}`;
}

/**
 * Finds a page of events. Ids start with the time, so that new events do not shift pages. SQL because the limit must apply before
 * the join, so that a page reads a bounded part of each partition.
 */
export function findEvents(tx: Transaction, query: AuditEventQuery): Promise<AuditEventRow[]> {
  const direction = directionOf(query);
  return queryRows(
    tx,
    columns,
    sql`
    SELECT page.*, p.ip, p.user_agent AS "userAgent", p.email, p.client_request_id AS "clientRequestId"
    FROM (SELECT * FROM (${pages(query)}) AS found ORDER BY id ${direction} LIMIT ${query.limit}) AS page
    LEFT JOIN audit_personal_data AS p ON p.event_id = page.id
    ORDER BY page.id ${direction}`,
  );
}

/**
 * Makes Postgres plan the transaction's statements for their parameters. SQL because it is a setting. A generic plan cannot know whether
 * a network is one house or half the Internet, and reads the whole trail for one of the two.
 */
export const planForParameters = (tx: Transaction): Promise<number> =>
  execute(tx, sql`SET LOCAL plan_cache_mode = force_custom_plan`);
