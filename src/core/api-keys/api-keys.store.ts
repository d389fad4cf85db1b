import type { ApiKeyId, UserId } from '../../kernel/id.ts';
import { type Database, type Queryable, sql, type SqlFragment } from '../../platform/postgres.ts';
import type { OpaqueToken } from '../tokens/opaque-token.ts';
import { joinGrants } from '../users/grants.store.ts';

/** Whether API key `k` lives, by the database's clock; its owner must be active besides. */
export const isKeyLive: SqlFragment = sql`(k.expires_at IS NULL OR clock_timestamp() < k.expires_at)`;

/** A live key, and what it may do now: no more than its owner may. */
export interface LiveApiKey {
  id: ApiKeyId;
  userId: UserId;
  scopes: string[];
}

/** Looks a key up and notes its use, to the minute, in one statement. */
async function useKey(db: Queryable, isIt: SqlFragment): Promise<LiveApiKey | undefined> {
  const [key] = await db.$queryRaw<LiveApiKey[]>`
    WITH used AS (
      UPDATE api_keys AS k SET last_used_at = clock_timestamp()
      WHERE ${isIt} AND ${isKeyLive} AND COALESCE(k.last_used_at < clock_timestamp() - interval '1 minute', true)
    )
    SELECT k.id, k.user_id AS "userId",
           ARRAY(SELECT unnest(k.scopes) INTERSECT SELECT unnest(grants.scopes) ORDER BY 1) AS scopes
    FROM api_keys AS k JOIN users AS u ON u.id = k.user_id AND u.is_active ${joinGrants}
    WHERE ${isIt} AND ${isKeyLive}`;
  return key;
}

export const useApiKey = (db: Queryable, { id, hash }: OpaqueToken<ApiKeyId>): Promise<LiveApiKey | undefined> =>
  useKey(db, sql`k.id = ${id}::uuid AND k.secret_hash = ${hash}`);

export const useApiKeyById = (db: Queryable, id: ApiKeyId): Promise<LiveApiKey | undefined> =>
  useKey(db, sql`k.id = ${id}::uuid`);

/** Revokes every key of a user whose row this transaction holds. */
export async function revokeApiKeysOf(tx: Queryable, userId: UserId): Promise<void> {
  await tx.$executeRaw`DELETE FROM api_keys WHERE user_id = ${userId}::uuid`;
}

/** Deletes keys that expired a month ago, up to `batch`, and tells how many. Until then their owner sees why they fail. */
export const purgeApiKeys = (db: Database, batch: number): Promise<number> => db.$executeRaw`
  DELETE FROM api_keys WHERE id IN (
    SELECT id FROM api_keys WHERE expires_at < statement_timestamp() - interval '30 days'
    ORDER BY expires_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
