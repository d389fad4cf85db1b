import { systemClock } from '../../lib/clock.ts';
import type { Transaction } from '../../platform/postgres.ts';
import type { Principal } from '../authorization/principal.ts';
import type { RequestSource } from '../request-info.ts';
import type { UserId } from '../../lib/ids.ts';
import { type AuditEvent as Event, type AuditEventType, makeAudit } from './audit.ts';

// Superseded by audit.ts; goes when the last caller uses `Audit`.
const audit = makeAudit({ clock: systemClock });
export type AuditType = AuditEventType;
export type AuditEvent = Omit<Event, 'actor'> & { actorId?: UserId };
export const actorOf = ({ userId, sessionId, apiKeyId }: Principal) => ({ actorId: userId, sessionId, apiKeyId });
export type KeyActor = { reason: string } & Partial<ReturnType<typeof actorOf> & { requestId: string }>;
export const recordEvent = (tx: Transaction, source: RequestSource, { actorId, ...event }: AuditEvent) =>
  audit.record(tx, source, { ...event, ...(actorId ? { actor: { userId: actorId } } : {}) });
export const recordKeyEvent = (tx: Transaction, type: AuditEventType, kid: string, by: KeyActor) => {
  const { reason, actorId, sessionId, apiKeyId } = by;
  return audit.record(tx, 'system', {
    type,
    kid,
    reason,
    sessionId,
    apiKeyId,
    ...(actorId ? { actor: { userId: actorId } } : {}),
  });
};
export const recordByOperator = (
  tx: Transaction,
  type: 'user.created' | 'role.granted',
  { userId, role }: { userId: UserId; role?: string },
) => audit.record(tx, 'system', { type, reason: 'cli', userId, ...(role ? { role } : {}) });
export const recordUpkeep = (tx: Transaction, type: AuditEventType, reason: string) =>
  audit.record(tx, 'system', { type, reason });
export const recordImports = (tx: Transaction, ids: UserId[]) => audit.recordImports(tx, ids);
