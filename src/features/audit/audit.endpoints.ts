import { z } from 'zod';
import { endpoint } from '../../http/endpoint.ts';
import { pageQuery } from '../../http/schemas/paging.ts';
import type { EventId, UserId } from '../../lib/ids.ts';
import { type ListEvents, toEvent } from './audit.ts';

const EventIdText = z.uuid().transform((text) => text.toLowerCase() as EventId);
const UserIdText = z.uuid().transform((text) => text.toLowerCase() as UserId);

const AuditEvent = z
  .object({
    id: z.uuid().meta({ description: 'Begins with the time, so that newer events have greater ids' }),
    occurred_at: z.iso.datetime().meta({ description: "By the database's clock" }),
    type: z.string().meta({ description: 'What was done, or tried' }),
    outcome: z.enum(['success', 'failure']).meta({ description: 'Whether it was done' }),
    reason: z.string().nullable().meta({ description: 'Why, or how; what it may be depends on the type' }),
    actor_id: z.uuid().nullable().meta({ description: 'The user who acted; null where nobody was authenticated' }),
    user_id: z.uuid().nullable().meta({ description: 'The user whose account it concerns' }),
    session_id: z.uuid().nullable().meta({ description: 'The session that acted, or that it concerns' }),
    api_key_id: z.uuid().nullable().meta({ description: 'The API key that acted, or that it concerns' }),
    role: z.string().nullable().meta({ description: 'The role that it concerns' }),
    kid: z.string().nullable().meta({ description: 'The signing key that it concerns' }),
    request_id: z.string().nullable().meta({ description: "As in `X-Request-Id` and in the service's log" }),
    ip: z.string().nullable().meta({ description: "The client's address; null once the account was deleted" }),
    user_agent: z.string().nullable().meta({ description: "The client's `User-Agent`; goes with the account, too" }),
    email: z.string().nullable().meta({ description: "The account's address then; null where somebody else acted" }),
  })
  .meta({ id: 'AuditEvent', description: 'Who did what, when, where from, and what came of it' });

const example: z.output<typeof AuditEvent> = {
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
  ip: '203.0.113.7',
  user_agent: 'Mozilla/5.0',
  email: 'ada@example.com',
};

const AuditEventList = z
  .object({
    events: z.array(AuditEvent).meta({ description: 'The newest first' }),
    next_cursor: z.string().nullable().meta({ description: 'The `cursor` of the next page; null at the end' }),
  })
  .meta({
    id: 'AuditEventList',
    description: 'A page of the audit trail',
    examples: [{ events: [example], next_cursor: null }],
  });

const AuditQuery = pageQuery(EventIdText).extend({
  user_id: UserIdText.optional().meta({ description: 'Only what concerns the account of this user' }),
  type: z
    .string()
    .regex(/^[a-z_.]{1,64}$/, { error: 'must be a type of event, such as login' })
    .optional()
    .meta({ description: 'Only events of this type, such as `login`' }),
});

export const listEventsRoute = (list: ListEvents) =>
  endpoint({
    method: 'get',
    path: '/admin/audit',
    operationId: 'listAuditEvents',
    tag: 'Administration',
    summary: 'Read the audit trail, the newest event first',
    description: 'An event that comes while pages are read shifts none of them.',
    scopes: ['audit:read'],
    query: AuditQuery,
    response: AuditEventList,
    async handle({ query, principal }) {
      const filter = { userId: query.user_id, type: query.type };
      const { events, next } = await list(principal, filter, query.cursor, query.limit);
      return { events: events.map(toEvent), next_cursor: next ?? null };
    },
  });
