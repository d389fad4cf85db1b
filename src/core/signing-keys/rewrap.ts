import type { Database } from '../../platform/postgres.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import { reseal } from './sealed-keys.ts';
import { readSealedKeys, replaceSeal } from './signing-keys.store.ts';

/**
 * Puts every signing key under the first master key, so that a former one can be dropped; gives the kids of those that
 * it moved. All are opened before the first is moved. @throws KeysUnreadable
 */
export async function rewrapKeys(db: Database, masterKeys: MasterKeys): Promise<string[]> {
  const resealed = (await readSealedKeys(db)).map((key) => ({ key, fresh: reseal(key, masterKeys) }));
  const moved: string[] = [];
  for (const { key, fresh } of resealed)
    if (fresh && (await replaceSeal(db, key, fresh.sealedKey, fresh.masterKeyId))) moved.push(key.kid);
  return moved;
}
