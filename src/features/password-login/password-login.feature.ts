import type { Database } from '../../platform/postgres.ts';
import { makePasswordLogin, type PasswordLoginDeps } from './password-login.ts';
import { passwordLoginRoute } from './password-login.route.ts';
import { makePasswordLoginStore } from './password-login.store.ts';

export const passwordLogin = ({ db, ...deps }: Omit<PasswordLoginDeps, 'store'> & { db: Database }) => [
  passwordLoginRoute(makePasswordLogin({ ...deps, store: makePasswordLoginStore(db) })),
];
