import type { Outbox } from '../../core/email/outbox.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeMyAccount, type MyAccountDeps } from './account.ts';
import { myAccountRoutes } from './account.endpoints.ts';
import { makeMyAccountStore } from './account.store.ts';

type Needs = Omit<MyAccountDeps, 'store'> & { db: Database; outbox: Outbox; passwordPolicy: PasswordPolicy };

export const myAccount = ({ db, outbox, passwordPolicy, ...deps }: Needs) =>
  myAccountRoutes(makeMyAccount({ ...deps, store: makeMyAccountStore(db, outbox) }), passwordPolicy);
