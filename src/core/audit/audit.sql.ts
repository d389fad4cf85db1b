import type { ApiKeyId, EventId, SessionId, UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { execute, sql } from '../../platform/sql.ts';
import type { RequestSource } from '../request-info.ts';

export interface NewEvent {
  id: EventId;
  type: string;
  outcome: 'success' | 'failure';
  reason: string | null;
  actorId: UserId | null;
  userId: UserId | null;
  sessionId: SessionId | null;
  apiKeyId: ApiKeyId | null;
  role: string | null;
  kid: string | null;
  /** Null for the command line and jobs. */
  source: RequestSource | null;
}

/**
 * Inserts an event and its personal data, which belongs to the actor, or else to the user. The user's email address is stored only
 * if no other user acted. SQL because one statement must see whether the user still exists and lock the row.
 */
export async function insertEvent(tx: Transaction, event: NewEvent): Promise<void> {
  const { id, type, outcome, reason, actorId, userId, sessionId, apiKeyId, role, kid, source } = event;
  const personId = actorId ?? userId;
  await execute(
    tx,
    sql`
    WITH event AS (
      INSERT INTO audit_events (id, type, outcome, reason, actor_id, user_id, session_id, request_id, api_key_id, role, kid)
      VALUES (${id}::uuid, ${type}, ${outcome}, ${reason}, ${actorId}::uuid, ${userId}::uuid, ${sessionId}::uuid,
              ${source?.id ?? null}, ${apiKeyId}::uuid, ${role}, ${kid})
      RETURNING id
    ), person AS (
      SELECT id, CASE WHEN id = ${userId}::uuid THEN email END AS email
      FROM users WHERE id = ${personId}::uuid FOR KEY SHARE
    )
    INSERT INTO audit_personal_data (event_id, user_id, ip, user_agent, email, client_request_id)
    SELECT event.id, person.id, ${source?.ip ?? null}, ${source?.userAgent ?? null}, person.email,
           ${source?.clientRequestId ?? null}
    FROM event LEFT JOIN person ON true
    WHERE ${source !== null} AND (${personId}::uuid IS NULL OR person.id IS NOT NULL)`,
  );
}

/** Inserts the events of one batch of an import. SQL for one statement per batch. */
export async function insertImportEvents(
  tx: Transaction,
  events: readonly { id: EventId; userId: UserId }[],
): Promise<void> {
  const [ids, userIds] = [events.map(({ id }) => id), events.map(({ userId }) => userId)];
  await execute(
    tx,
    sql`
    INSERT INTO audit_events (id, type, outcome, reason, user_id)
    SELECT event_id, 'account.imported', 'success', 'cli', user_id
    FROM unnest(${ids}::uuid[], ${userIds}::uuid[]) AS event(event_id, user_id)`,
  );
}
