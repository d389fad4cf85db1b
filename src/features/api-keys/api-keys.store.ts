import { actorOf, recordEvent } from '../../core/audit/audit.store.ts';
import { requireOwnOrWeaker } from '../../core/authorization/authority.store.ts';
import { actAsCaller, isCaller, ownerFor } from '../../core/authorization/caller.store.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { ApiKeyId, UserId } from '../../lib/ids.ts';
import { type Database } from '../../platform/postgres.ts';
import { sql } from '../../platform/sql.ts';

export interface ApiKeyRow {
  id: ApiKeyId;
  name: string;
  scopes: string[];
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
}

export interface NewApiKey {
  id: ApiKeyId;
  name: string;
  scopes: readonly string[];
  secretHash: Uint8Array;
  expiresAt: Date | null;
}

/** At most so many a user, expired ones too. */
const maxApiKeys = 100;

const columns = sql`k.id, k.name, k.scopes, k.created_at AS "createdAt", k.expires_at AS "expiresAt",
  k.last_used_at AS "lastUsedAt"`;

export const makeApiKeysStore = (db: Database) => ({
  /** The caller's keys, the newest first, from below `before`; undefined where the caller is dead. */
  async list(principal: Principal, before: ApiKeyId | undefined, limit: number): Promise<ApiKeyRow[] | undefined> {
    const from = before ? sql`AND k.id < ${before}::uuid` : sql``;
    const rows = await db.$queryRaw<(ApiKeyRow | { id: null })[]>`
      WITH caller AS (SELECT u.id FROM users AS u WHERE ${isCaller(principal)})
      SELECT page.* FROM caller LEFT JOIN LATERAL (
        SELECT ${columns} FROM api_keys AS k WHERE k.user_id = caller.id ${from} ORDER BY k.id DESC LIMIT ${limit}
      ) AS page ON true`;
    return rows.length === 0 ? undefined : rows.filter((row): row is ApiKeyRow => row.id !== null);
  },

  /** Null where the caller has as many as one may have; undefined where the caller is dead. */
  create: (principal: Principal, key: NewApiKey, request: RequestInfo): Promise<ApiKeyRow | null | undefined> =>
    actAsCaller(db, principal, async (tx) => {
      const { id, name, scopes, secretHash, expiresAt } = key;
      const { userId } = principal;
      const [row] = await tx.$queryRaw<ApiKeyRow[]>`
        INSERT INTO api_keys AS k (id, user_id, name, scopes, secret_hash, expires_at)
        SELECT ${id}::uuid, ${userId}::uuid, ${name}, ${scopes}, ${secretHash}, ${expiresAt}
        WHERE (SELECT count(*) FROM api_keys WHERE user_id = ${userId}::uuid) < ${maxApiKeys}
        RETURNING ${columns}`;
      if (!row) return null;
      const facts = { ...actorOf(principal), userId, apiKeyId: id };
      await recordEvent(tx, request, { type: 'api_key.created', outcome: 'success', ...facts });
      return row;
    }),

  /** False for a key that is not there or somebody else's, alike; undefined where the caller is dead. */
  revoke: (principal: Principal, id: ApiKeyId, request: RequestInfo): Promise<boolean | undefined> =>
    actAsCaller(db, principal, async (tx) => {
      const owner = await ownerFor(tx, principal, 'users:write');
      const [revoked] = await tx.$queryRaw<{ userId: UserId }[]>`
        DELETE FROM api_keys WHERE id = ${id}::uuid AND (${owner}::uuid IS NULL OR user_id = ${owner}::uuid)
        RETURNING user_id AS "userId"`;
      if (!revoked) return false;
      await requireOwnOrWeaker(tx, principal, revoked.userId, 'users:write');
      const facts = { ...actorOf(principal), userId: revoked.userId, apiKeyId: id };
      await recordEvent(tx, request, { type: 'api_key.revoked', outcome: 'success', ...facts });
      return true;
    }),
});

export type ApiKeysStore = ReturnType<typeof makeApiKeysStore>;
