import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeSignUp, type SignUpDeps } from './sign-up.ts';
import { signUpRoute } from './sign-up.route.ts';
import { makeSignUpStore } from './sign-up.store.ts';

type Needs = Omit<SignUpDeps, 'store'> & { db: Database; passwordPolicy: PasswordPolicy };

export const signUp = ({ db, passwordPolicy, ...deps }: Needs) => [
  signUpRoute(makeSignUp({ ...deps, store: makeSignUpStore(db) }), passwordPolicy),
];
