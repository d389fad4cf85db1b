import type { Database } from '../../platform/postgres.ts';
import { type ApiKeysDeps, makeApiKeys } from './api-keys.ts';
import { apiKeysRoutes } from './api-keys.endpoints.ts';
import { makeApiKeysStore } from './api-keys.store.ts';

export const apiKeys = ({ db, ...deps }: Omit<ApiKeysDeps, 'store'> & { db: Database }) =>
  apiKeysRoutes(makeApiKeys({ ...deps, store: makeApiKeysStore(db) }));
