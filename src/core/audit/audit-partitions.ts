import type { Logger } from '../../platform/log.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import type { Audit } from './audit.ts';
import {
  createPartition,
  deletePersonalData,
  dropOldestPartition,
  findPartitionWork,
  limitLockWait,
  lockTrail,
  tryLockPartitions,
} from './audit-partitions.sql.ts';

export interface MaintainAuditPartitionsDeps {
  db: Database;
  audit: Audit;
  /** Undefined keeps events forever. */
  auditRetentionSeconds: number | undefined;
  log: Logger;
}

/** Partitions are created early, so that operators have time to fix a failure. */
const monthsAhead = 2;

/** Runs `work` in a transaction, or returns undefined if another process maintains the partitions. */
const withPartitionLock = <Result>(db: Database, work: (tx: Transaction) => Promise<Result>) =>
  db.transaction(async (tx) => {
    await limitLockWait(tx);
    return (await tryLockPartitions(tx)) ? work(tx) : undefined;
  });

/**
 * Creates the coming partitions of the audit trail and drops the expired ones. Fails if it would wait long for a lock. Until
 * the next run, the default partition receives the events of missing months.
 */
export const makeMaintainAuditPartitions =
  ({ db, audit, auditRetentionSeconds, log }: MaintainAuditPartitionsDeps) =>
  async (): Promise<void> => {
    const dropOldest = (retentionSeconds: number) =>
      withPartitionLock(db, async (tx) => {
        const partition = await dropOldestPartition(tx, retentionSeconds);
        if (partition !== undefined) await audit.record(tx, 'system', { type: 'audit.retention', reason: partition });
        return partition;
      });
    const createMissing = (month: number) =>
      withPartitionLock(db, async (tx) => {
        await lockTrail(tx);
        await createPartition(tx, month);
      });

    const { missingMonths, hasExpired } = await findPartitionWork(db, monthsAhead, auditRetentionSeconds);
    for (const month of missingMonths) await createMissing(month);
    if (auditRetentionSeconds === undefined || !hasExpired) return;
    let partition: string | undefined;
    while ((partition = await dropOldest(auditRetentionSeconds)) !== undefined)
      log.info({ partition }, 'dropped an expired partition of the audit trail');
  };

/** Deletes personal data of expired events, up to `batchSize` rows at a time, and returns the number of rows. */
export const makePurgePersonalData =
  ({ db, auditRetentionSeconds }: Pick<MaintainAuditPartitionsDeps, 'db' | 'auditRetentionSeconds'>) =>
  async (batchSize: number): Promise<number> =>
    auditRetentionSeconds === undefined ? 0 : deletePersonalData(db, auditRetentionSeconds, batchSize);
