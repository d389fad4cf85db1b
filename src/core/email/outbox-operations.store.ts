import type { Database } from '../../platform/postgres.ts';

/** A mail that was not sent yet: nothing of whom it is for, and what it says. */
export interface UnsentEmail {
  id: string;
  kind: string;
  ageSeconds: number;
  attempts: number;
  status: 'waits' | 'failed';
  lastFault: string | null;
}

const maxListed = 1000;

/** The failed ones first, then the oldest. */
export const listUnsent = (db: Database): Promise<UnsentEmail[]> => db.$queryRaw`
  SELECT id, kind, extract(epoch FROM clock_timestamp() - created_at)::int AS "ageSeconds", attempts,
         CASE WHEN failed_at IS NULL THEN 'waits' ELSE 'failed' END AS status, last_fault AS "lastFault"
  FROM mails WHERE sent_at IS NULL ORDER BY failed_at IS NULL, created_at LIMIT ${maxListed}`;

/** Puts what was given up back among what waits, with attempts as a new one has, and tells how many. */
export const retryFailed = (db: Database): Promise<number> => db.$executeRaw`
  UPDATE mails SET failed_at = NULL, attempts = 0, due_at = clock_timestamp() WHERE failed_at IS NOT NULL AND sent_at IS NULL`;
