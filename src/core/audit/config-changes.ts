import { hmacSha256, secretsEqual } from '../../lib/secrets.ts';
import type { Database } from '../../platform/postgres.ts';
import type { Audit } from './audit.ts';
import { lockFingerprints, saveFingerprints } from './config-changes.sql.ts';

/** The subkey of one master key that fingerprints are made with. Without it, short values could be guessed from the HMACs. */
export interface FingerprintKey {
  id: string;
  settings: Uint8Array;
}

export interface RecordConfigChangesDeps {
  db: Database;
  audit: Audit;
  /** The first makes fingerprints, all verify them. */
  keys: readonly [FingerprintKey, ...FingerprintKey[]];
}

const fingerprintOf = (name: string, value: string, { settings }: FingerprintKey): Buffer =>
  hmacSha256(settings, Buffer.from(`${name}=${value}`));

/**
 * Records the names of variables that changed since the previous start, and keeps fingerprints for the next start. A variable
 * counts as unchanged if the previous release did not have it or if its master key was removed.
 */
export const makeRecordConfigChanges = ({ db, audit, keys }: RecordConfigChangesDeps) => {
  const hasChanged = (name: string, value: string, previous: { masterKeyId: string; hmac: Uint8Array }): boolean => {
    const key = keys.find(({ id }) => id === previous.masterKeyId);
    return key ? !secretsEqual(fingerprintOf(name, value, key), previous.hmac) : name === 'MASTER_KEYS';
  };

  return (config: Readonly<Record<string, string>>): Promise<void> =>
    db.transaction(async (tx) => {
      const values = Object.entries({ ...config, MASTER_KEYS: keys.map(({ id }) => id).join(',') });
      await lockFingerprints(tx);
      const previous = new Map((await tx.settingFingerprint.findMany()).map((row) => [row.name, row]));
      const changed = values.flatMap(([name, value]) => {
        const row = previous.get(name);
        return row && hasChanged(name, value, row) ? [name] : [];
      });
      const fingerprints = values.map(([name, value]) => ({ name, hmac: fingerprintOf(name, value, keys[0]) }));
      await saveFingerprints(tx, keys[0].id, fingerprints);
      if (changed.length > 0)
        await audit.record(tx, 'system', { type: 'settings.changed', reason: changed.toSorted().join(' ') });
    });
};
