import type { Clock } from '../../lib/clock.ts';
import { type ApiKeyId, type EventId, newId, type SessionId, type UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import type { Principal } from '../authorization/principal.ts';
import type { RequestSource } from '../request-info.ts';
import { insertEvent, insertImportEvents } from './audit.sql.ts';

/** Stable identifiers: rows of the audit trail are never changed. docs/audit.md describes each. */
export type AuditEventType =
  | 'account.registered'
  | 'account.imported'
  | 'account.deleted'
  | 'account.reclaimed'
  | 'account.purged'
  | 'account.locked'
  | 'account.tried_while_locked'
  | 'api_key.created'
  | 'api_key.revoked'
  | 'api_key.tokens_revoked'
  | 'audit.retention'
  | 'authorization.refused'
  | 'client.authenticated'
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
  | 'refresh_token.reused'
  | 'refresh_token.replayed_elsewhere'
  | 'refresh_token.refused'
  | 'role.created'
  | 'role.changed'
  | 'role.deleted'
  | 'role.granted'
  | 'role.revoked'
  | 'session.ended'
  | 'sessions.revoked'
  | 'settings.changed'
  | 'signing_key.made'
  | 'signing_key.asked'
  | 'signing_key.activated'
  | 'signing_key.retired'
  | 'signing_key.revoked'
  | 'signing_key.rewrapped'
  | 'signing_key.deleted'
  | 'user.created'
  | 'user.updated'
  | 'user.enabled'
  | 'user.disabled'
  | 'user.deleted'
  | 'user.logged_out'
  | 'user.unlocked'
  | 'user.reset_mailed';

/** Contains ids and identifiers only. Personal data goes to an erasable side table. */
export interface AuditEvent {
  type: AuditEventType;
  /** Defaults to `success`. */
  outcome?: 'success' | 'failure';
  reason?: string;
  /** Undefined if no user was authenticated. */
  actor?: Pick<Principal, 'userId'> & Partial<Pick<Principal, 'sessionId' | 'apiKeyId'>>;
  /** The user whose account the event concerns. */
  userId?: UserId | undefined;
  /** The session that the event concerns; defaults to the actor's. */
  sessionId?: SessionId | undefined;
  /** The API key that the event concerns; defaults to the actor's. */
  apiKeyId?: ApiKeyId | undefined;
  role?: string;
  /** The signing key that the event concerns. */
  kid?: string;
}

/** Records events in the transaction of the change that they describe: both are committed, or neither. */
export interface Audit {
  /**
   * `source` is the request that caused the event; `system` for the command line and the service's own jobs. The source is
   * personal data of the actor and is erased with the actor's account. No personal data is stored for an account that is
   * deleted in the same transaction.
   */
  record(tx: Transaction, source: RequestSource | 'system', event: AuditEvent): Promise<void>;
  /** Records that an operator imported these accounts. */
  recordImports(tx: Transaction, userIds: readonly UserId[]): Promise<void>;
}

export const makeAudit = ({ clock }: { clock: Clock }): Audit => ({
  async record(tx, source, event) {
    const { type, outcome = 'success', reason, actor, userId, role, kid } = event;
    await insertEvent(tx, {
      id: newId<EventId>(clock.nowMs()),
      type,
      outcome,
      reason: reason ?? null,
      actorId: actor?.userId ?? null,
      userId: userId ?? null,
      sessionId: event.sessionId ?? actor?.sessionId ?? null,
      apiKeyId: event.apiKeyId ?? actor?.apiKeyId ?? null,
      role: role ?? null,
      kid: kid ?? null,
      source: source === 'system' ? null : source,
    });
  },

  async recordImports(tx, userIds) {
    const nowMs = clock.nowMs();
    await insertImportEvents(
      tx,
      userIds.map((userId) => ({ id: newId<EventId>(nowMs), userId })),
    );
  },
});
