import type { Transaction } from '../../platform/postgres.ts';
import { execute, sql } from '../../platform/sql.ts';

/** Identifies the advisory lock that all processes share. The number is arbitrary. */
const lockKey = 1_632_003_430;

/** Makes processes that start concurrently compare their configuration one after the other. SQL for the advisory lock. */
export const lockFingerprints = (tx: Transaction): Promise<number> =>
  execute(tx, sql`SELECT FROM pg_advisory_xact_lock(${lockKey}::bigint)`);

export interface NewFingerprint {
  name: string;
  hmac: Uint8Array;
}

/** Stores fingerprints that were made with one master key. SQL for one statement that leaves unchanged rows untouched. */
export const saveFingerprints = (
  tx: Transaction,
  masterKeyId: string,
  fingerprints: readonly NewFingerprint[],
): Promise<number> => {
  const [names, hmacs] = [fingerprints.map(({ name }) => name), fingerprints.map(({ hmac }) => hmac)];
  return execute(
    tx,
    sql`
    INSERT INTO setting_fingerprints AS f (name, master_key_id, hmac)
    SELECT name, ${masterKeyId}, hmac FROM unnest(${names}::text[], ${hmacs}::bytea[]) AS s(name, hmac)
    ON CONFLICT (name) DO UPDATE SET master_key_id = excluded.master_key_id, hmac = excluded.hmac
    WHERE f.hmac <> excluded.hmac`,
  );
};
