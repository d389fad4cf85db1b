import type { LiftLockout } from '../../core/users/check-password.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import type { Database } from '../../platform/postgres.ts';
import { makePasswordReset, type PasswordResetDeps } from './password-reset.ts';
import { passwordResetRoutes } from './password-reset.endpoints.ts';
import { makeAnswerForgot, makePasswordResetStore } from './password-reset.store.ts';

type Needs = Omit<PasswordResetDeps, 'store'> & {
  db: Database;
  liftLockout: LiftLockout;
  passwordPolicy: PasswordPolicy;
};

export function passwordReset({ db, liftLockout, passwordPolicy, ...deps }: Needs) {
  const store = makePasswordResetStore(db, deps.outbox, liftLockout);
  const useCases = makePasswordReset({ ...deps, store });
  return {
    endpoints: passwordResetRoutes(useCases, passwordPolicy),
    resetPassword: useCases.reset,
    answers: { password_reset: makeAnswerForgot(deps) },
  };
}
