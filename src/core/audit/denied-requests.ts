import type { DeniedRequest } from '../../http/handle-request.ts';
import type { Logger } from '../../platform/log.ts';
import { type Database, sentenceOf } from '../../platform/postgres.ts';
import { actorOf, recordEvent } from './audit.store.ts';

/** While the database hangs, more than so many are not waited for: the log has them. */
const maxPending = 50;
const longestReason = 200;

/**
 * Records that somebody who is known was refused: they lack a scope, or what they came with has ended. Nobody waits for
 * it, and a fault of it changes no answer. Each request writes at most one, so the rate limits bound it.
 */
export function makeRecordDenial(db: Database, log: Logger) {
  let pending = 0;
  return ({ operationId, principal, request, error }: DeniedRequest): void => {
    const reason = `${operationId} ${error.message}`.slice(0, longestReason);
    const lost = (fault: string) =>
      log.warn({ request_id: request.id, reason: fault }, 'a refusal is not in the audit trail');
    if (pending >= maxPending) return lost('too many wait');
    pending += 1;
    const facts = { ...actorOf(principal), userId: principal.userId };
    void recordEvent(db, request, { type: 'authorization.refused', outcome: 'failure', reason, ...facts })
      .catch((error: unknown) => lost(sentenceOf(error)))
      .finally(() => (pending -= 1));
  };
}
