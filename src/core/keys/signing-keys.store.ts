import { type Database, type Queryable, sql } from '../../platform/postgres.ts';
import type { PublicJwk, SigningAlg } from './signing-key.ts';

export interface SealedSigningKey {
  kid: string;
  alg: SigningAlg;
  status: 'next' | 'active' | 'retired';
  /** For people who look into the table; what is published comes from the sealed key. */
  publicJwk: PublicJwk;
  sealedKey: Uint8Array;
  masterKeyId: string;
  /** When it began to sign; null where it has not. */
  activatedAt: Date | null;
}

/** Every key that verifiers may still meet, the newest first. */
const readPublished = (db: Queryable): Promise<SealedSigningKey[]> =>
  db.$queryRaw`
    SELECT kid, alg, status, public_jwk AS "publicJwk", sealed_key AS "sealedKey", master_key_id AS "masterKeyId",
           activated_at AS "activatedAt"
    FROM signing_keys WHERE status <> 'revoked' ORDER BY created_at DESC`;

/** Serializes the processes that may make a key; the number is this lock's name. */
const lockKeys = sql`SELECT 1 AS locked FROM pg_advisory_xact_lock(5418219031)`;

export interface PublishedKeys {
  /** The key that signs. */
  active: SealedSigningKey;
  published: SealedSigningKey[];
}

/** The published keys and, among them, the active one for `alg`: made by `create` where there is none, by one process. */
export async function ensureActiveKey(
  db: Database,
  alg: SigningAlg,
  create: () => Promise<Omit<SealedSigningKey, 'status' | 'activatedAt'>>,
): Promise<PublishedKeys> {
  const known = await findActive(db, alg);
  if (known) return known;
  const made = await create();
  return db.$transaction(async (tx) => {
    await tx.$queryRaw(lockKeys);
    const current = await findActive(tx, alg);
    if (current) return current;
    const { kid, publicJwk, sealedKey, masterKeyId } = made;
    await tx.$executeRaw`
      INSERT INTO signing_keys (kid, alg, status, public_jwk, sealed_key, master_key_id, activated_at)
      VALUES (${kid}, ${alg}, 'active', ${JSON.stringify(publicJwk)}::jsonb, ${sealedKey}, ${masterKeyId}, clock_timestamp())`;
    const published = await findActive(tx, alg);
    if (!published) throw new Error('the key that was just made is not there');
    return published;
  });
}

async function findActive(db: Queryable, alg: SigningAlg): Promise<PublishedKeys | undefined> {
  const published = await readPublished(db);
  const active = published.find((key) => key.status === 'active' && key.alg === alg);
  return active && { active, published };
}

/** Puts a key under another master key, unless another process has done so already. */
export async function replaceSeal(db: Database, key: SealedSigningKey, sealed: Uint8Array, masterKeyId: string) {
  await db.$executeRaw`
    UPDATE signing_keys SET sealed_key = ${sealed}, master_key_id = ${masterKeyId}
    WHERE kid = ${key.kid} AND master_key_id = ${key.masterKeyId}`;
}
