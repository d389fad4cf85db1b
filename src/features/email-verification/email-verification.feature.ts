import type { Outbox } from '../../core/email/outbox.ts';
import type { Database } from '../../platform/postgres.ts';
import { type EmailVerificationDeps, makeEmailVerification } from './email-verification.ts';
import { emailVerificationRoutes } from './email-verification.endpoints.ts';
import {
  makeAnswerRegistration,
  makeAnswerVerification,
  makeEmailVerificationStore,
} from './email-verification.store.ts';

type Needs = Omit<EmailVerificationDeps, 'store'> & { db: Database; outbox: Outbox };

export function emailVerification({ db, ...deps }: Needs) {
  const useCases = makeEmailVerification({ ...deps, store: makeEmailVerificationStore(db, deps.outbox) });
  return {
    endpoints: emailVerificationRoutes(useCases),
    verifyEmail: useCases.verify,
    answers: { registration: makeAnswerRegistration(deps), verification: makeAnswerVerification(deps) },
  };
}
