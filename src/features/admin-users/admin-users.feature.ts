import type { Outbox } from '../../core/mails/outbox.ts';
import type { LiftLockout } from '../../core/users/check-password.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeAdminUsers } from './admin-users.ts';
import { adminUsersRoutes } from './admin-users.route.ts';
import { makeAdminUsersStore } from './admin-users.store.ts';

interface Needs {
  db: Database;
  outbox: Outbox;
  liftLockout: LiftLockout;
}

export const adminUsers = ({ db, outbox, liftLockout }: Needs) =>
  adminUsersRoutes(makeAdminUsers({ outbox, store: makeAdminUsersStore(db, outbox, liftLockout) }));
