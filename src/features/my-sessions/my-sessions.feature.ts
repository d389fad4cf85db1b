import type { Database } from '../../platform/postgres.ts';
import { makeEndMySession, makeListMySessions } from './my-sessions.ts';
import { endMySessionRoute, listMySessionsRoute } from './my-sessions.route.ts';
import { makeMySessionsStore } from './my-sessions.store.ts';

export function mySessions({ db }: { db: Database }) {
  const store = makeMySessionsStore(db);
  return [listMySessionsRoute(makeListMySessions({ store })), endMySessionRoute(makeEndMySession({ store }))];
}
