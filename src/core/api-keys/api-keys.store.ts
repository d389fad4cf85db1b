import type { ApiKeySubject } from '../authorization/principal.ts';
import type { ApiKeyId, UserId } from '../../lib/ids.ts';
import { type Database, type Transaction } from '../../platform/postgres.ts';
import { sql, type SqlFragment } from '../../platform/sql.ts';
import type { OpaqueToken } from '../tokens/opaque-token.ts';
import { joinGrants } from '../authorization/fragments.sql.ts';

/** Whether API key `k` lives, by the database's clock; its owner must be active besides. */
export const isKeyLive: SqlFragment = sql`(k.expires_at IS NULL OR clock_timestamp() < k.expires_at)`;

/** A live key, and what it may do now: no more than its owner may. */
export interface LiveApiKey {
  id: ApiKeyId;
  userId: UserId;
  scopes: string[];
}

/** Looks a key up and notes its use, to the minute, in one statement. */
async function useKey(db: Transaction, isIt: SqlFragment): Promise<LiveApiKey | undefined> {
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

export const useApiKey = (db: Transaction, { id, hash }: OpaqueToken<ApiKeyId>): Promise<LiveApiKey | undefined> =>
  useKey(db, sql`k.id = ${id}::uuid AND k.secret_hash = ${hash}`);

/** Whether `k` is the API key of an access token, and the token was not revoked. */
export const isKeyOf = ({ apiKeyId, issuedAt }: ApiKeySubject): SqlFragment => sql`
  k.id = ${apiKeyId}::uuid AND (k.tokens_from IS NULL OR to_timestamp(${issuedAt}::float8) >= k.tokens_from)`;

export const useApiKeyByToken = (db: Transaction, bearer: ApiKeySubject): Promise<LiveApiKey | undefined> =>
  useKey(db, isKeyOf(bearer));

/**
 * Revokes the access tokens that a key has now; the next one that it asks for is good. `iat` has whole seconds, so one
 * of this second goes with them. Tells whose the key is; undefined where there is none.
 */
export async function revokeTokensOf(tx: Transaction, id: ApiKeyId): Promise<UserId | undefined> {
  const [key] = await tx.$queryRaw<{ userId: UserId }[]>`
    UPDATE api_keys SET tokens_from = date_trunc('second', clock_timestamp()) + interval '1 second'
    WHERE id = ${id}::uuid RETURNING user_id AS "userId"`;
  return key?.userId;
}

/** Revokes every key of a user whose row this transaction holds. */
export async function revokeApiKeysOf(tx: Transaction, userId: UserId): Promise<void> {
  await tx.$executeRaw`DELETE FROM api_keys WHERE user_id = ${userId}::uuid`;
}

/** Deletes keys that expired a month ago, up to `batch`, and tells how many. Until then their owner sees why they fail. */
export const purgeApiKeys = (db: Database, batch: number): Promise<number> => db.$executeRaw`
  DELETE FROM api_keys WHERE id IN (
    SELECT id FROM api_keys WHERE expires_at < statement_timestamp() - interval '30 days'
    ORDER BY expires_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`;
