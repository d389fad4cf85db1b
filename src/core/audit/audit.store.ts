import type { Client } from '../../http/context.ts';
import type { Caller } from '../../http/authenticate.ts';
import { type ApiKeyId, type EventId, newId, type SessionId, type UserId } from '../../kernel/id.ts';
import { systemClock } from '../../kernel/clock.ts';
import type { Queryable } from '../../platform/postgres.ts';

export type AuditType =
  | 'account.registered'
  | 'account.imported'
  | 'account.deleted'
  | 'account.locked'
  | 'email.verified'
  | 'email.verification_asked'
  | 'email.change_asked'
  | 'email.changed'
  | 'email.change_undone'
  | 'login'
  | 'logout'
  | 'logout.all'
  | 'password.changed'
  | 'password.checked'
  | 'password.reset'
  | 'password.reset_asked'
  | 'session.ended'
  | 'client.authenticated'
  | 'api_key.created'
  | 'api_key.revoked'
  | 'api_key.tokens_revoked'
  | 'user.created'
  | 'user.updated'
  | 'user.enabled'
  | 'user.disabled'
  | 'user.deleted'
  | 'user.logged_out'
  | 'user.unlocked'
  | 'user.reset_mailed'
  | 'role.created'
  | 'role.changed'
  | 'role.deleted'
  | 'role.granted'
  | 'role.revoked'
  | 'refresh_token.reused'
  | 'refresh_token.replayed_elsewhere'
  | 'refresh_token.refused'
  | 'account.tried_while_locked'
  | 'authorization.refused';

export type KeyAuditType =
  | 'signing_key.made'
  | 'signing_key.asked'
  | 'signing_key.activated'
  | 'signing_key.retired'
  | 'signing_key.revoked'
  | 'signing_key.rewrapped'
  | 'signing_key.deleted';

/** What the service did by itself. */
export type UpkeepAuditType = 'audit.retention' | 'settings.changed';

/** Where an event came from. */
export type EventClient = Pick<Client, 'requestId' | 'ip' | 'userAgent'>;

/** Who, what, with what outcome, in which session. Ids only; what is personal goes to an erasable side table. */
export interface AuditEvent {
  type: AuditType;
  outcome: 'success' | 'failure';
  reason?: string;
  /** Who acted; left out where nobody was authenticated. */
  actorId?: UserId;
  /** Whose account it concerns; left out where there is none. */
  userId?: UserId | undefined;
  sessionId?: SessionId | undefined;
  /** The API key that acted, or that it concerns. */
  apiKeyId?: ApiKeyId | undefined;
  /** The role that it concerns. */
  role?: string;
}

/** Who acted, of a caller. */
export const actorOf = ({ userId, sessionId, apiKeyId }: Caller) => ({ actorId: userId, sessionId, apiKeyId });

/**
 * Records an event in the transaction of what it tells of: both are there, or neither. Where it came from is personal of
 * who acted, and goes with their account; the address of the user only stands there where nobody else acted. Of an account
 * that is deleted, in this transaction or meanwhile, nothing personal is kept.
 */
export async function recordEvent(tx: Queryable, client: EventClient, event: AuditEvent): Promise<void> {
  const id = newId<EventId>(systemClock.nowMs());
  const { type, outcome, reason = null, actorId = null, userId = null, sessionId = null } = event;
  const { apiKeyId = null, role = null } = event;
  const person = actorId ?? userId;
  await tx.$executeRaw`
    WITH event AS (
      INSERT INTO audit_events (id, type, outcome, reason, actor_id, user_id, session_id, request_id,
                                api_key_id, role)
      VALUES (${id}::uuid, ${type}, ${outcome}, ${reason}, ${actorId}::uuid, ${userId}::uuid, ${sessionId}::uuid,
              ${client.requestId}, ${apiKeyId}::uuid, ${role})
      RETURNING id
    ), person AS (
      SELECT id, CASE WHEN id = ${userId}::uuid THEN email END AS email
      FROM users WHERE id = ${person}::uuid FOR KEY SHARE
    )
    INSERT INTO audit_personal_data (event_id, user_id, ip, user_agent, email)
    SELECT event.id, person.id, ${client.ip}, ${client.userAgent}, person.email
    FROM event LEFT JOIN person ON true
    WHERE ${person}::uuid IS NULL OR person.id IS NOT NULL`;
}

/** Who had a signing key changed: by the command line nobody is known, and a process does it by itself. */
export type KeyActor = { reason: string } & Partial<ReturnType<typeof actorOf> & Pick<EventClient, 'requestId'>>;

/** Records what became of a signing key in the transaction of it. */
export async function recordKeyEvent(tx: Queryable, type: KeyAuditType, kid: string, by: KeyActor): Promise<void> {
  const id = newId<EventId>(systemClock.nowMs());
  const { reason, actorId = null, sessionId = null, apiKeyId = null, requestId = null } = by;
  await tx.$executeRaw`
    INSERT INTO audit_events (id, type, outcome, reason, kid, actor_id, session_id, api_key_id, request_id)
    VALUES (${id}::uuid, ${type}, 'success', ${reason}, ${kid}, ${actorId}::uuid, ${sessionId}::uuid, ${apiKeyId}::uuid,
            ${requestId})`;
}

/** Records what an operator did to an account by the command line, in the transaction of it. */
export async function recordByOperator(
  tx: Queryable,
  type: 'user.created' | 'role.granted',
  { userId, role = null }: { userId: UserId; role?: string | null },
): Promise<void> {
  const id = newId<EventId>(systemClock.nowMs());
  await tx.$executeRaw`
    INSERT INTO audit_events (id, type, outcome, reason, user_id, role)
    VALUES (${id}::uuid, ${type}, 'success', 'cli', ${userId}::uuid, ${role})`;
}

/** Records what the service did by itself, in the transaction of it. */
export async function recordUpkeep(tx: Queryable, type: UpkeepAuditType, reason: string): Promise<void> {
  const id = newId<EventId>(systemClock.nowMs());
  await tx.$executeRaw`
    INSERT INTO audit_events (id, type, outcome, reason) VALUES (${id}::uuid, ${type}, 'success', ${reason})`;
}

/** Records that an operator brought these accounts along, in the transaction that makes them. */
export async function recordImports(tx: Queryable, userIds: readonly UserId[]): Promise<void> {
  const nowMs = systemClock.nowMs();
  const eventIds = userIds.map(() => newId<EventId>(nowMs));
  await tx.$executeRaw`
    INSERT INTO audit_events (id, type, outcome, reason, user_id)
    SELECT event_id, 'account.imported', 'success', 'cli', user_id
    FROM unnest(${eventIds}::uuid[], ${userIds}::uuid[]) AS event(event_id, user_id)`;
}
