import type { Ratchet } from '../../core/sessions/ratchet.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeLogout, makeLogoutAll } from './logout.ts';
import { logoutAllRoute, logoutRoute } from './logout.route.ts';
import { makeLogoutStore } from './logout.store.ts';

export function logout({ db, ratchet }: { db: Database; ratchet: Ratchet }) {
  const store = makeLogoutStore(db);
  return [logoutRoute(makeLogout({ ratchet, store })), logoutAllRoute(makeLogoutAll({ store }))];
}
