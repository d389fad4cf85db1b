import type { Outbox } from '../../core/email/outbox.ts';
import type { LiftLockout } from '../../core/users/check-password.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeAdminUsers } from './users.ts';
import { adminUsersRoutes } from './users.endpoints.ts';
import { makeAdminUsersStore } from './users.store.ts';

interface Needs {
  db: Database;
  outbox: Outbox;
  liftLockout: LiftLockout;
}

export const adminUsers = ({ db, outbox, liftLockout }: Needs) =>
  adminUsersRoutes(makeAdminUsers({ outbox, store: makeAdminUsersStore(db, outbox, liftLockout) }));
