import type { ApiError } from '../../lib/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { type Database, sentenceOf } from '../../platform/postgres.ts';
import type { Principal } from '../authorization/principal.ts';
import type { RequestSource } from '../request-info.ts';
import type { Audit } from './audit.ts';

/** A request of an authenticated principal that was denied for lack of rights or because its credential ended. */
export interface DeniedRequest {
  operationId: string;
  principal: Principal;
  request: RequestSource;
  error: ApiError;
}

export interface RecordDeniedRequestDeps {
  db: Database;
  audit: Audit;
  log: Logger;
}

/** If the database hangs, further events are only logged. */
const maxPending = 50;
const maxReasonLength = 200;

/**
 * Records denied requests. The response neither waits for the event nor depends on it. Each request writes at most one event, so
 * the rate limits bound their number.
 */
export function makeRecordDeniedRequest({ db, audit, log }: RecordDeniedRequestDeps) {
  let pending = 0;
  return ({ operationId, principal, request, error }: DeniedRequest): void => {
    const logLost = (reason: string) =>
      log.warn({ request_id: request.id, reason }, 'a denied request is missing from the audit trail');
    if (pending >= maxPending) return logLost('too many pending events');
    pending += 1;
    const reason = `${operationId} ${error.message}`.slice(0, maxReasonLength);
    const { userId } = principal;
    void audit
      .record(db, request, { type: 'authorization.refused', outcome: 'failure', reason, actor: principal, userId })
      .catch((failure: unknown) => logLost(sentenceOf(failure)))
      .finally(() => (pending -= 1));
  };
}
