import type { Database } from '../../platform/postgres.ts';
import { makeAdminKeys } from './signing-keys.ts';
import { adminKeysRoutes } from './signing-keys.endpoints.ts';
import { makeAdminKeysStore } from './signing-keys.store.ts';

export const adminKeys = ({ db }: { db: Database }) => adminKeysRoutes(makeAdminKeys(makeAdminKeysStore(db)));
