import type { Transports } from '../../core/sessions/transports.ts';
import type { Database } from '../../platform/postgres.ts';
import { makePasswordLogin, type PasswordLoginDeps } from './password-login.ts';
import { passwordLoginRoute } from './password-login.route.ts';
import { makePasswordLoginStore } from './password-login.store.ts';

type Needs = Omit<PasswordLoginDeps, 'store'> & { db: Database; transports: Transports };

/** With its use-case, for whoever else takes passwords for tokens. */
export function passwordLogin({ db, transports, ...deps }: Needs) {
  const login = makePasswordLogin({ ...deps, store: makePasswordLoginStore(db) });
  return { login, endpoints: [passwordLoginRoute(login, transports)] };
}
