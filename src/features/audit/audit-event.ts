import { z } from 'zod';
import type { AuditEventRow } from '../../core/audit/audit-events.sql.ts';

/** An event in responses and exports. */
export const AuditEvent = z
  .object({
    id: z.uuid().meta({ description: 'Starts with the time, so newer events have greater ids' }),
    occurred_at: z.iso.datetime().meta({ description: 'When the event occurred, by the clock of the database' }),
    type: z.string().meta({ description: 'The event type, such as `login`' }),
    outcome: z.enum(['success', 'failure']).meta({ description: 'Whether the action succeeded' }),
    reason: z.string().nullable().meta({ description: 'Details of the outcome. The values depend on the type' }),
    actor_id: z.uuid().nullable().meta({ description: 'The user who acted; null if no user was authenticated' }),
    user_id: z.uuid().nullable().meta({ description: 'The user whose account the event concerns' }),
    session_id: z.uuid().nullable().meta({ description: 'The session that acted or that the event concerns' }),
    api_key_id: z.uuid().nullable().meta({ description: 'The API key that acted or that the event concerns' }),
    role: z.string().nullable().meta({ description: 'The role that the event concerns' }),
    kid: z.string().nullable().meta({ description: 'The signing key that the event concerns' }),
    request_id: z
      .string()
      .nullable()
      .meta({ description: 'The id that the service gave the request, also in its log. Unique' }),
    client_request_id: z.string().nullable().meta({
      description: 'The `X-Request-Id` that the caller sent, not verified; null after the account was deleted',
    }),
    ip: z.string().nullable().meta({ description: 'The client address; null after the account was deleted' }),
    user_agent: z.string().nullable().meta({ description: 'The `User-Agent`; null after the account was deleted' }),
    email: z
      .string()
      .nullable()
      .meta({ description: 'The email address of the account at that time; null if another user acted' }),
  })
  .meta({ id: 'AuditEvent', description: 'A security-relevant action' });

export type AuditEvent = z.output<typeof AuditEvent>;

export const toAuditEvent = (event: AuditEventRow): AuditEvent => ({
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
  client_request_id: event.clientRequestId,
  ip: event.ip,
  user_agent: event.userAgent,
  email: event.email,
});
