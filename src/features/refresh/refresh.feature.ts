import type { Transports } from '../../core/sessions/transports.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeRefresh, type RefreshDeps } from './refresh.ts';
import { refreshRoute } from './refresh.route.ts';
import { makeRefreshStore, type RefreshTimes } from './refresh.store.ts';

type Needs = Omit<RefreshDeps, 'store'> & RefreshTimes & { db: Database; transports: Transports };

export const refresh = ({ db, ...deps }: Needs) => [
  refreshRoute(makeRefresh({ ...deps, store: makeRefreshStore(db, deps) }), deps.transports),
];
