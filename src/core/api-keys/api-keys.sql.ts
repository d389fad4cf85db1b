import type { ApiKeyId, UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, execute, queryRow, queryRows, type RowOf, sql, type SqlFragment } from '../../platform/sql.ts';
import { isLiveApiKey, joinGrants } from '../authorization/fragments.sql.ts';
import type { ApiKeySubject } from '../authorization/principal.ts';
import type { OpaqueToken } from '../tokens/opaque-token.ts';

const columns = {
  id: column.uuid<ApiKeyId>(),
  userId: column.uuid<UserId>(),
  scopes: column.textArray,
  /** Of the owner. */
  emailVerified: column.boolean,
  tokenEpochMs: column.double,
};

/** The epoch of the access tokens of key `k`. A double is exact for whole milliseconds and independent of time zones. */
const tokenEpochMs: SqlFragment = sql`COALESCE(EXTRACT(EPOCH FROM k.tokens_from) * 1000, 0)::float8`;

/** A live key. `scopes` are those that its owner still holds. */
export type LiveApiKey = RowOf<typeof columns>;

/** Finds a live key and records the time of its use, to the minute. SQL for one statement per request, by the database's clock. */
const useApiKey = (tx: Transaction, isKey: SqlFragment): Promise<LiveApiKey | undefined> =>
  queryRow(
    tx,
    columns,
    sql`
    WITH used AS (
      UPDATE api_keys AS k SET last_used_at = clock_timestamp()
      WHERE ${isKey} AND ${isLiveApiKey} AND COALESCE(k.last_used_at < clock_timestamp() - interval '1 minute', true)
    )
    SELECT k.id, k.user_id AS "userId",
           ARRAY(SELECT unnest(k.scopes) COLLATE "C" INTERSECT SELECT unnest(grants.scopes) COLLATE "C" ORDER BY 1) AS scopes,
           u.email_verified AS "emailVerified", ${tokenEpochMs} AS "tokenEpochMs"
    FROM api_keys AS k JOIN users AS u ON u.id = k.user_id AND u.is_active ${joinGrants}
    WHERE ${isKey} AND ${isLiveApiKey}`,
  );

export const useApiKeyBySecret = (tx: Transaction, { id, hash }: OpaqueToken<ApiKeyId>) =>
  useApiKey(tx, sql`k.id = ${id}::uuid AND k.secret_hash = ${hash}`);

/**
 * Whether `k` is the API key of an access token that was not revoked. Compares epochs instead of times, because `iat` comes from the
 * clock of a process. A token without an epoch was issued by an earlier release; it is accepted only if it was issued so long after
 * the last revocation that no difference between the clocks matters.
 */
export const isKeyOf = ({ apiKeyId, issuedAt, tokenEpochMs: epochMs }: ApiKeySubject): SqlFragment =>
  epochMs === undefined
    ? sql`k.id = ${apiKeyId}::uuid AND (
        k.tokens_from IS NULL OR to_timestamp(${issuedAt}::float8) > k.tokens_from + interval '1 minute')`
    : sql`k.id = ${apiKeyId}::uuid AND ${tokenEpochMs} = ${epochMs}::float8`;

export const useApiKeyByToken = (tx: Transaction, subject: ApiKeySubject) => useApiKey(tx, isKeyOf(subject));

/**
 * Revokes the current access tokens of a key by giving it another epoch, and returns its owner. Tokens that are issued afterwards
 * are valid. The epoch always increases, even if the clock is set back. SQL for the database's clock.
 */
export async function revokeTokensOf(tx: Transaction, id: ApiKeyId): Promise<UserId | undefined> {
  const key = await queryRow(
    tx,
    { userId: column.uuid<UserId>() },
    sql`
    UPDATE api_keys SET tokens_from = GREATEST(
      date_trunc('milliseconds', clock_timestamp()), tokens_from + interval '1 millisecond')
    WHERE id = ${id}::uuid RETURNING user_id AS "userId"`,
  );
  return key?.userId;
}

const namedColumns = { id: column.uuid<ApiKeyId>(), name: column.text() };
export type NamedApiKey = RowOf<typeof namedColumns>;

/** The keys of a user that have not expired, newest first. SQL for the database's clock. */
export const findLiveApiKeys = (tx: Transaction, userId: UserId): Promise<NamedApiKey[]> =>
  queryRows(
    tx,
    namedColumns,
    sql`SELECT k.id, k.name FROM api_keys AS k WHERE k.user_id = ${userId}::uuid AND ${isLiveApiKey} ORDER BY k.id DESC`,
  );

/** Deletes every key of a user. SQL because one execution decides which of several requests revokes a key and records it. */
export const deleteApiKeysOf = (tx: Transaction, userId: UserId): Promise<NamedApiKey[]> =>
  queryRows(tx, namedColumns, sql`DELETE FROM api_keys WHERE user_id = ${userId}::uuid RETURNING id, name`);

/**
 * Deletes up to `batchSize` keys that expired a month ago; until then their owners can see that they expired. SQL to skip rows that another
 * process deletes.
 */
export const purgeApiKeys = (tx: Transaction, batchSize: number): Promise<number> =>
  execute(
    tx,
    sql`
    DELETE FROM api_keys WHERE id IN (
      SELECT id FROM api_keys WHERE expires_at < statement_timestamp() - interval '30 days'
      ORDER BY expires_at LIMIT ${batchSize} FOR UPDATE SKIP LOCKED)`,
  );
