import type { Database } from '../../platform/postgres.ts';
import { makeAdminKeys } from './admin-keys.ts';
import { adminKeysRoutes } from './admin-keys.route.ts';
import { makeAdminKeysStore } from './admin-keys.store.ts';

export const adminKeys = ({ db }: { db: Database }) => adminKeysRoutes(makeAdminKeys(makeAdminKeysStore(db)));
