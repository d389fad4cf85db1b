import type { Transports } from '../../core/sessions/transports.ts';
import type { Database } from '../../platform/postgres.ts';
import { makePasswordLogin, type PasswordLoginDeps } from './password-login.ts';
import { passwordLoginRoute } from './password-login.route.ts';
import { makePasswordLoginStore } from './password-login.store.ts';

type Needs = Omit<PasswordLoginDeps, 'store'> & { db: Database; transports: Transports };

export const passwordLogin = ({ db, transports, ...deps }: Needs) => [
  passwordLoginRoute(makePasswordLogin({ ...deps, store: makePasswordLoginStore(db) }), transports),
];
