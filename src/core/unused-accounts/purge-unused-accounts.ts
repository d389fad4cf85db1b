import type { UserId } from '../../lib/ids.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { Database } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import { deleteUnusedAccounts, findUnverifiedUsers, lockUnusedAccounts } from './unused-accounts.sql.ts';

export interface PurgeUnusedAccountsDeps {
  db: Database;
  audit: Audit;
  metrics: Pick<Metrics, 'accountsPurged'>;
  /** Undefined keeps all accounts. */
  retentionSeconds: number | undefined;
}

const usersPerPage = 100;
const firstId = '00000000-0000-0000-0000-000000000000';

/** Deletes accounts that were registered, never verified and never used again, so that they neither fill the database nor keep an address. */
export const makePurgeUnusedAccounts =
  ({ db, audit, metrics, retentionSeconds }: PurgeUnusedAccountsDeps) =>
  async (signal: AbortSignal): Promise<void> => {
    if (retentionSeconds === undefined) return;
    const unused = { retentionSeconds };
    const deleteUnused = (ids: readonly UserId[]) =>
      db.transaction(async (tx) => {
        const locked = await lockUnusedAccounts(tx, ids, unused);
        if (locked.length === 0) return 0;
        const deleted = await deleteUnusedAccounts(
          tx,
          locked.map(({ id }) => id),
          unused,
        );
        for (const { id: userId } of deleted)
          await audit.record(tx, 'system', { type: 'account.purged', reason: 'unverified', userId });
        return deleted.length;
      });

    for (let afterId: string | undefined = firstId; afterId !== undefined && !signal.aborted;) {
      const page: { id: UserId }[] = await findUnverifiedUsers(db, afterId, retentionSeconds, usersPerPage);
      metrics.accountsPurged(await deleteUnused(page.map(({ id }) => id)));
      afterId = page.length === usersPerPage ? page.at(-1)?.id : undefined;
    }
  };
