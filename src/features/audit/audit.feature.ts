import type { Database } from '../../platform/postgres.ts';
import { makeListEvents } from './audit.ts';
import { listEventsRoute } from './audit.endpoints.ts';
import { makeAuditLogStore } from './audit.store.ts';

export const auditLog = ({ db }: { db: Database }) => [
  listEventsRoute(makeListEvents({ store: makeAuditLogStore(db) })),
];
