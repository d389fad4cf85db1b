import type { Transports } from '../../core/sessions/transports.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeSignUp, type SignUpDeps } from './sign-up.ts';
import { signUpRoute } from './sign-up.route.ts';
import { makeSignUpStore } from './sign-up.store.ts';

type Needs = Omit<SignUpDeps, 'store'> & { db: Database; passwordPolicy: PasswordPolicy; transports: Transports };

export const signUp = ({ db, passwordPolicy, transports, ...deps }: Needs) => [
  signUpRoute(makeSignUp({ ...deps, store: makeSignUpStore(db) }), passwordPolicy, transports),
];
