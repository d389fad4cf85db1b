import type { MasterKeys } from '../../lib/master-keys.ts';
import type { Database } from '../../platform/postgres.ts';
import type { Audit } from '../audit/audit.ts';
import { resealKey } from './sealed-keys.ts';
import { SigningAlg } from './signing-key.ts';

const notRevoked = { status: { not: 'revoked' } };

/**
 * Encrypts every signing key under the first master key, so that the operator can remove the others. Decrypts all keys before it
 * changes one. Returns the kids of the changed keys. @throws KeysUnreadable
 */
export async function rewrapKeys(db: Database, audit: Audit, masterKeys: MasterKeys): Promise<string[]> {
  const rows = await db.signingKey.findMany({ where: notRevoked, orderBy: { createdAt: 'asc' } });
  const rewrapped: string[] = [];
  const resealed = rows.map((row) => ({ row, key: resealKey({ ...row, alg: SigningAlg.parse(row.alg) }, masterKeys) }));
  for (const { row, key } of resealed) {
    if (!key) continue;
    const { kid, masterKeyId } = key;
    await db.transaction(async (tx) => {
      const { count } = await tx.signingKey.updateMany({
        where: { kid, masterKeyId: row.masterKeyId, ...notRevoked },
        data: { sealedKey: Buffer.from(key.sealedKey), masterKeyId },
      });
      if (count === 0) return; // another process was first
      await audit.record(tx, 'system', { type: 'signing_key.rewrapped', kid, reason: masterKeyId });
      rewrapped.push(kid);
    });
  }
  return rewrapped;
}
