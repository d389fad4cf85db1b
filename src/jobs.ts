import type { Config } from './config.ts';
import { purgeApiKeys } from './core/api-keys/api-keys.sql.ts';
import type { Audit } from './core/audit/audit.ts';
import { makeMaintainAuditPartitions, makePurgePersonalData } from './core/audit/audit-partitions.ts';
import { purgeEmails } from './core/email/outbox.sql.ts';
import { purgeTokens } from './core/one-time-tokens/one-time-tokens.sql.ts';
import { purgeSessions } from './core/sessions/purge-sessions.sql.ts';
import { makePurgeUnusedAccounts } from './core/unused-accounts/purge-unused-accounts.ts';
import { purgeLockouts } from './core/users/lockout.sql.ts';
import type { Job } from './platform/job-runner.ts';
import type { Logger } from './platform/log.ts';
import type { Metrics } from './platform/metrics.ts';
import type { Database } from './platform/postgres.ts';

export interface JobsDeps {
  db: Database;
  audit: Audit;
  config: Config;
  metrics: Pick<Metrics, 'accountsPurged'>;
  log: Logger;
}

const periodSeconds = 300;
/** Small, so that no statement holds locks for long. */
const rowsPerBatch = 500;

/**
 * The maintenance jobs of every process. They run one at a time. The signing keys and the email outbox have their own workers, because
 * events wake them.
 */
export const makeJobs = ({ db, audit, config, metrics, log }: JobsDeps): readonly Job[] => [
  {
    name: 'maintain_audit_partitions',
    periodSeconds,
    run: makeMaintainAuditPartitions({ db, audit, log, auditRetentionSeconds: config.auditRetentionSeconds }),
  },
  purge(
    'purge_audit_personal_data',
    makePurgePersonalData({ db, auditRetentionSeconds: config.auditRetentionSeconds }),
  ),
  {
    name: 'purge_unused_accounts',
    periodSeconds: 24 * 3600, // reads every unverified account
    run: makePurgeUnusedAccounts({
      db,
      audit,
      metrics,
      retentionSeconds: config.unverifiedAccountRetentionSeconds,
    }),
  },
  purge('purge_sessions', (rows) => purgeSessions(db, rows)),
  purge('purge_lockouts', (rows) => purgeLockouts(db, config.lockout.durationSeconds, rows)),
  purge('purge_one_time_tokens', (rows) => purgeTokens(db, rows)),
  purge('purge_api_keys', (rows) => purgeApiKeys(db, rows)),
  purge('purge_emails', (rows) => purgeEmails(db, rows)),
];

/** Deletes expired rows until a batch is not full. `deleteBatch` deletes up to `rows` rows and returns their number. */
const purge = (name: string, deleteBatch: (rows: number) => Promise<number>): Job => ({
  name,
  periodSeconds,
  async run(signal) {
    while (!signal.aborted && (await deleteBatch(rowsPerBatch)) === rowsPerBatch);
  },
});
