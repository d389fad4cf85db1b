import type { Transports } from '../../http/token-transport.ts';
import type { Database } from '../../platform/postgres.ts';
import { makePasswordLogin, type PasswordLoginDeps } from './login.ts';
import { passwordLoginRoute } from './login.endpoints.ts';
import { makePasswordLoginStore } from './login.store.ts';

type Needs = Omit<PasswordLoginDeps, 'store'> & { db: Database; transports: Transports };

/** With its use-case, for whoever else takes passwords for tokens. */
export function passwordLogin({ db, transports, ...deps }: Needs) {
  const login = makePasswordLogin({ ...deps, store: makePasswordLoginStore(db) });
  return { login, endpoints: [passwordLoginRoute(login, transports)] };
}
