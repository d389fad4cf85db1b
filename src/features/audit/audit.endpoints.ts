import { z } from 'zod';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { nextCursor, pageQuery, uuidOf } from '../../http/schemas/paging.ts';
import type { EventId, UserId } from '../../lib/ids.ts';
import { AuditEvent, toAuditEvent } from './audit-event.ts';
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

const listQuery = pageQuery(uuidOf<EventId>()).extend({
  user_id: uuidOf<UserId>().optional().meta({ description: 'Only events that concern the account of this user' }),
  type: z
    .string()
    .regex(/^[a-z_.]{1,64}$/, { error: 'must be an event type, such as login' })
    .optional()
    .meta({ description: 'Only events of this type, such as `login`' }),
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
      description: 'New events do not shift pages.',
      scopes: ['audit:read'],
      query: listQuery,
      response: AuditEventList,
      async handle({ query: { user_id: userId, type, cursor, limit }, principal }) {
        const { rows, next } = await listAuditEvents(principal, { userId, type }, cursor, limit);
        return { events: rows.map(toAuditEvent), next_cursor: next?.id ?? null };
      },
    }),
  ];
}
