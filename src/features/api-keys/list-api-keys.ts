import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { ApiKeyId, UserId } from '../../lib/ids.ts';
import { type Page, toPage } from '../../lib/page.ts';
import type { Database } from '../../platform/postgres.ts';

/** An API key as its owner and administrators see it. */
export interface ApiKeyDetails {
  id: string;
  name: string;
  scopes: string[];
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
}

export interface ListApiKeysDeps {
  db: Database;
  authorizeRead: Authorization['authorizeRead'];
}

/** A page of a user's API keys, newest first, beginning after `cursor`. */
export async function findApiKeyPage(
  db: Database,
  userId: UserId,
  cursor: ApiKeyId | undefined,
  limit: number,
): Promise<Page<ApiKeyDetails>> {
  const rows = await db.apiKey.findMany({
    where: cursor === undefined ? { userId } : { userId, id: { lt: cursor } },
    orderBy: { id: 'desc' },
    take: limit + 1,
  });
  return toPage(rows, limit);
}

/** Lists the principal's own API keys, newest first, beginning after `cursor`. @throws InvalidAccessToken */
export const makeListApiKeys =
  ({ db, authorizeRead }: ListApiKeysDeps) =>
  async (principal: Principal, cursor: ApiKeyId | undefined, limit: number): Promise<Page<ApiKeyDetails>> => {
    const { userId } = await authorizeRead(db, principal);
    return findApiKeyPage(db, userId, cursor, limit);
  };
