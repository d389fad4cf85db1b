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
export const recordEvent = (tx: Transaction, source: RequestSource, { actorId, ...event }: AuditEvent) =>
  audit.record(tx, source, { ...event, ...(actorId ? { actor: { userId: actorId } } : {}) });
export const recordUpkeep = (tx: Transaction, type: AuditEventType, reason: string) =>
  audit.record(tx, 'system', { type, reason });
