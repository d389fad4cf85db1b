import type { Principal } from '../../core/authorization/principal.ts';
import { NotFound } from '../../core/errors.ts';
import type { ApiKeyId, UserId } from '../../lib/ids.ts';
import type { Page } from '../../lib/page.ts';
import { type ApiKeyDetails, findApiKeyPage, type ListApiKeysDeps } from './list-api-keys.ts';

/** Lists the API keys of any user, newest first, beginning after `cursor`. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeListUserApiKeys =
  ({ db, authorizeRead }: ListApiKeysDeps) =>
  async (
    principal: Principal,
    userId: UserId,
    cursor: ApiKeyId | undefined,
    limit: number,
  ): Promise<Page<ApiKeyDetails>> => {
    await authorizeRead(db, principal, { scopes: ['users:read'] });
    if (!(await db.user.findUnique({ where: { id: userId }, select: { id: true } }))) throw new NotFound('user');
    return findApiKeyPage(db, userId, cursor, limit);
  };
