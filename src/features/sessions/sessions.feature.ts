import type { Database } from '../../platform/postgres.ts';
import { makeEndMySession, makeListMySessions } from './sessions.ts';
import { endMySessionRoute, listMySessionsRoute } from './sessions.endpoints.ts';
import { makeMySessionsStore } from './sessions.store.ts';

export function mySessions({ db }: { db: Database }) {
  const store = makeMySessionsStore(db);
  return [listMySessionsRoute(makeListMySessions({ store })), endMySessionRoute(makeEndMySession({ store }))];
}
