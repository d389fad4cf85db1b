import type { Database } from '../../platform/postgres.ts';
import { type EmailChangeDeps, makeEmailChange } from './email-change.ts';
import { emailChangeRoutes } from './email-change.endpoints.ts';
import { makeEmailChangeStore } from './email-change.store.ts';

type Needs = Omit<EmailChangeDeps, 'store'> & { db: Database };

export function emailChange({ db, ...deps }: Needs) {
  const store = makeEmailChangeStore(db, deps.outbox, deps.oneTimeTokens);
  const useCases = makeEmailChange({ ...deps, store });
  return {
    endpoints: emailChangeRoutes(useCases),
    undoEmailChange: useCases.undo,
    confirmNewAddress: (...args: Parameters<typeof store.confirm>) => store.confirm(...args),
  };
}
