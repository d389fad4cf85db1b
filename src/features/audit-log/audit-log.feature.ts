import type { Database } from '../../platform/postgres.ts';
import { makeListEvents } from './audit-log.ts';
import { listEventsRoute } from './audit-log.route.ts';
import { makeAuditLogStore } from './audit-log.store.ts';

export const auditLog = ({ db }: { db: Database }) => [
  listEventsRoute(makeListEvents({ store: makeAuditLogStore(db) })),
];
