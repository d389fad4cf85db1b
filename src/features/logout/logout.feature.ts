import type { Transports } from '../../http/token-transport.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeLogout, makeLogoutAll } from './logout.ts';
import { logoutAllRoute, logoutRoute } from './logout.endpoints.ts';
import { makeLogoutStore } from './logout.store.ts';

export function logout({ db, transports }: { db: Database; transports: Transports }) {
  const store = makeLogoutStore(db);
  return {
    /** For whoever else takes back tokens. */
    endSession: store.endSession,
    endpoints: [logoutRoute(makeLogout({ store }), transports), logoutAllRoute(makeLogoutAll({ store }))],
  };
}
