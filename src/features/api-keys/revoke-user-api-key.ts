import { requireOwnerOrAdmin } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { NotFound } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import type { ApiKeyId, UserId } from '../../lib/ids.ts';
import type { RevokeApiKeyDeps } from './revoke-api-key.ts';

/** Revokes an API key of any user. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeRevokeUserApiKey =
  ({ db, authorize, audit }: RevokeApiKeyDeps) =>
  (principal: Principal, { userId, id }: { userId: UserId; id: ApiKeyId }, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      const admin = await authorize(tx, principal, { scopes: ['users:write'], target: userId });
      await requireOwnerOrAdmin(tx, admin, { kind: 'user', ownerId: userId }, 'users:write');
      const { count } = await tx.apiKey.deleteMany({ where: { id, userId } });
      if (count === 0) throw new NotFound('api key');
      await audit.record(tx, request, { type: 'api_key.revoked', actor: principal, userId, apiKeyId: id });
    });
