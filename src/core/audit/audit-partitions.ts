import type { Logger } from '../../platform/log.ts';
import { type Database, sentenceOf } from '../../platform/postgres.ts';
import { dropOldest, findTasks, openMonth } from './audit-partitions.store.ts';

export interface AuditPartitionsDeps {
  db: Database;
  /** Undefined: for ever. */
  auditRetentionSeconds: number | undefined;
  log: Logger;
}

/** Partitions are made so many months before the first event of theirs, so that a fault has time to be mended. */
const monthsAhead = 2;

/**
 * Makes the partitions of the audit trail that are to come, and drops those that are too old. A fault waits for the next
 * time: meanwhile every event has a place. Gives 0, as nothing is left over for another batch.
 */
export const makeMaintainAuditPartitions =
  ({ db, auditRetentionSeconds, log }: AuditPartitionsDeps) =>
  async (): Promise<number> => {
    try {
      const { missing, stale } = await findTasks(db, monthsAhead, auditRetentionSeconds);
      for (const ahead of missing) await openMonth(db, ahead);
      if (auditRetentionSeconds === undefined || !stale) return 0;
      let partition: string | undefined;
      while ((partition = await dropOldest(db, auditRetentionSeconds)) !== undefined)
        log.info({ partition }, 'a month of the audit trail was dropped, as AUDIT_RETENTION says');
    } catch (error) {
      log.warn({ reason: sentenceOf(error) }, 'the months of the audit trail stay as they are; trying again later');
    }
    return 0;
  };
