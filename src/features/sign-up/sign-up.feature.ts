import type { Outbox } from '../../core/email/outbox.ts';
import type { Transports } from '../../http/token-transport.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import type { Database } from '../../platform/postgres.ts';
import { makeSignUp, type SignUpDeps } from './sign-up.ts';
import { signUpRoute } from './sign-up.endpoints.ts';
import { makeSignUpStore } from './sign-up.store.ts';

type Needs = Omit<SignUpDeps, 'store'> & {
  db: Database;
  outbox: Outbox;
  passwordPolicy: PasswordPolicy;
  transports: Transports;
};

export const signUp = ({ db, outbox, passwordPolicy, transports, ...deps }: Needs) => {
  const store = makeSignUpStore(db, outbox, deps.emailVerification !== 'off');
  return [signUpRoute(makeSignUp({ ...deps, store }), passwordPolicy, transports)];
};
