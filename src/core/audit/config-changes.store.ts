import { hmacSha256, secretsEqual } from '../../lib/secrets.ts';
import type { Database } from '../../platform/postgres.ts';
import { recordUpkeep } from './audit.store.ts';

/** What fingerprints are made with, of one master key: without it nobody finds out what a short value was. */
export interface FingerprintKey {
  id: string;
  settings: Uint8Array;
}

interface Fingerprint {
  name: string;
  masterKeyId: string;
  hmac: Uint8Array;
}

/** Processes that start at once come one after the other. */
const lockKey = 1_632_003_430;

const fingerprintOf = (name: string, value: string, { settings }: FingerprintKey): Buffer =>
  hmacSha256(settings, Buffer.from(`${name}=${value}`));

/**
 * Records which settings are not those of the start before, by name, and keeps their fingerprints for the next. Of a
 * setting that the release before did not have, and of one whose master key is gone, nothing is known.
 */
export async function recordSettings(
  db: Database,
  given: Readonly<Record<string, string>>,
  keys: readonly [FingerprintKey, ...FingerprintKey[]],
): Promise<void> {
  const settings = { ...given, MASTER_KEYS: keys.map(({ id }) => id).join(',') };
  const hasChanged = (name: string, value: string, { masterKeyId, hmac }: Fingerprint): boolean => {
    const key = keys.find(({ id }) => id === masterKeyId);
    return key ? !secretsEqual(fingerprintOf(name, value, key), hmac) : name === 'MASTER_KEYS';
  };
  await db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 AS locked FROM pg_advisory_xact_lock(${lockKey}::bigint)`;
    const rows = await tx.$queryRaw<Fingerprint[]>`
      SELECT name, master_key_id AS "masterKeyId", hmac FROM setting_fingerprints`;
    const before = new Map(rows.map((row) => [row.name, row]));
    const changed = Object.entries(settings).flatMap(([name, value]) => {
      const row = before.get(name);
      return row && hasChanged(name, value, row) ? [name] : [];
    });
    const hmacs = Object.entries(settings).map(([name, value]) => fingerprintOf(name, value, keys[0]));
    await tx.$executeRaw`
      INSERT INTO setting_fingerprints AS f (name, master_key_id, hmac)
      SELECT name, ${keys[0].id}, hmac FROM unnest(${Object.keys(settings)}::text[], ${hmacs}::bytea[]) AS s(name, hmac)
      ON CONFLICT (name) DO UPDATE SET master_key_id = excluded.master_key_id, hmac = excluded.hmac
      WHERE f.hmac <> excluded.hmac`;
    if (changed.length > 0) await recordUpkeep(tx, 'settings.changed', changed.toSorted().join(' '));
  });
}
