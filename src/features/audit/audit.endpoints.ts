import { z } from 'zod';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { nextCursor, pageQuery, uuidOf } from '../../http/schemas/paging.ts';
import type { EventId } from '../../lib/ids.ts';
import { AuditEvent, toAuditEvent } from './audit-event.ts';
import { EventTime, filters, toFilter } from './audit-filter.ts';
import { type ListAuditEventsDeps, makeListAuditEvents } from './list-audit-events.ts';

const example: AuditEvent = {
  id: '0197a1b0-7a11-7d02-8f4e-2c9b1d3e4f50',
  occurred_at: '2026-11-22T10:15:00.000Z',
  type: 'login',
  outcome: 'failure',
  reason: 'wrong_password',
  actor_id: null,
  user_id: '0197a1b0-6c01-7b3e-9a51-55b1c2d3e4f5',
  session_id: null,
  api_key_id: null,
  role: null,
  kid: null,
  request_id: '0d8f2a38-3f6c-4b52-9f5e-2f1f3a0b9c1d',
  client_request_id: null,
  ip: '203.0.113.7',
  user_agent: 'Mozilla/5.0',
  email: 'ada@example.com',
};

const AuditEventList = z
  .object({
    events: z.array(AuditEvent).meta({ description: 'Newest first' }),
    next_cursor: nextCursor,
  })
  .meta({
    id: 'AuditEventList',
    description: 'A page of the audit trail',
    examples: [{ events: [example], next_cursor: null }],
  });

const plus = 'Write the `+` of an offset as `%2B`';

const listQuery = pageQuery(uuidOf<EventId>()).extend({
  ...filters,
  since: EventTime.optional().meta({ description: `Only events that occurred at this time or later. ${plus}` }),
  until: EventTime.optional().meta({ description: `Only events that occurred before this time. ${plus}` }),
});

export function auditEndpoints(deps: ListAuditEventsDeps): Endpoint[] {
  const listAuditEvents = makeListAuditEvents(deps);
  return [
    endpoint({
      method: 'get',
      path: '/admin/audit',
      operationId: 'listAuditEvents',
      tag: 'Administration',
      summary: 'List events of the audit trail, newest first',
      description:
        'Returns the events that match every filter. New events do not shift pages. For a wide network, add a time range.',
      scopes: ['audit:read'],
      query: listQuery,
      response: AuditEventList,
      async handle({ query: { cursor, limit, since, until, ...values }, principal }) {
        const filter = { ...toFilter(values), since, until };
        const { rows, next } = await listAuditEvents(principal, filter, cursor, limit);
        return { events: rows.map(toAuditEvent), next_cursor: next?.id ?? null };
      },
    }),
  ];
}
