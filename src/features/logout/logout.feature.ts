import type { Ratchet } from '../../core/sessions/ratchet.ts';
import type { Transports } from '../../core/sessions/transports.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeLogout, makeLogoutAll } from './logout.ts';
import { logoutAllRoute, logoutRoute } from './logout.route.ts';
import { makeLogoutStore } from './logout.store.ts';

export function logout({ db, ratchet, transports }: { db: Database; ratchet: Ratchet; transports: Transports }) {
  const store = makeLogoutStore(db);
  return [logoutRoute(makeLogout({ ratchet, store }), transports), logoutAllRoute(makeLogoutAll({ store }))];
}
