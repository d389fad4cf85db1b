import type { Database } from '../../platform/postgres.ts';
import { makeRefresh, type RefreshDeps } from './refresh.ts';
import { refreshRoute } from './refresh.route.ts';
import { makeRefreshStore, type RefreshTimes } from './refresh.store.ts';

export const refresh = ({ db, ...deps }: Omit<RefreshDeps, 'store'> & RefreshTimes & { db: Database }) => [
  refreshRoute(makeRefresh({ ...deps, store: makeRefreshStore(db, deps) }), deps.ratchet),
];
