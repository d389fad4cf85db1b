import type { Transports } from '../../http/token-transport.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeLookAtRefreshToken, makeRefresh, type RefreshDeps } from './refresh.ts';
import { refreshRoute } from './refresh.endpoints.ts';
import { makeRefreshStore, type RefreshTimes } from './refresh.store.ts';

type Needs = Omit<RefreshDeps, 'store'> & RefreshTimes & { db: Database; transports: Transports };

/** With its use-case, for whoever else takes refresh tokens. */
export function refresh({ db, ...deps }: Needs) {
  const store = makeRefreshStore(db, deps);
  const use = makeRefresh({ ...deps, store });
  return {
    refresh: use,
    lookAtRefreshToken: makeLookAtRefreshToken({ store }),
    endpoints: [refreshRoute(use, deps.transports)],
  };
}
