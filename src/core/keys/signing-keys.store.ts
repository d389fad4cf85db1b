import { type Database, type Queryable, sql } from '../../platform/postgres.ts';
import type { PublicJwk, SigningAlg } from './signing-key.ts';

export interface SealedSigningKey {
  kid: string;
  alg: SigningAlg;
  status: 'next' | 'active' | 'retired';
  publicJwk: PublicJwk;
  sealedKey: Uint8Array;
  masterKeyId: string;
}

const select = { kid: true, alg: true, status: true, publicJwk: true, sealedKey: true, masterKeyId: true };

/** Every key that verifiers may still meet, the newest first. */
async function readPublished(db: Queryable): Promise<SealedSigningKey[]> {
  const rows = await db.signingKey.findMany({
    select,
    where: { status: { not: 'revoked' } },
    orderBy: { createdAt: 'desc' },
  });
  return rows as unknown as SealedSigningKey[];
}

/** Serializes the processes that may make a key; the number is this lock's name. */
const lockKeys = sql`SELECT 1 AS locked FROM pg_advisory_xact_lock(5418219031)`;

/** The published keys, with an active one for `alg` among them: made by `create` where there is none, by one process. */
export async function ensureActiveKey(
  db: Database,
  alg: SigningAlg,
  create: () => Promise<Omit<SealedSigningKey, 'status'>>,
): Promise<SealedSigningKey[]> {
  const isActive = (key: SealedSigningKey) => key.status === 'active' && key.alg === alg;
  const published = await readPublished(db);
  if (published.some(isActive)) return published;
  const made = await create();
  return db.$transaction(async (tx) => {
    await tx.$queryRaw(lockKeys);
    const current = await readPublished(tx);
    if (current.some(isActive)) return current;
    const { kid, publicJwk, sealedKey, masterKeyId } = made;
    await tx.$executeRaw`
      INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id, activated_at)
      VALUES (${kid}, ${alg}, 'active', ${JSON.stringify(publicJwk)}::jsonb, ${sealedKey}, ${masterKeyId}, clock_timestamp())`;
    return readPublished(tx);
  });
}
