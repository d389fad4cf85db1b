import type { Audit } from '../../core/audit/audit.ts';
import { type Authorization, requireOwnerOrAdmin } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { NotFound } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { type ApiKeyId, parseId, type UserId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';

export interface RevokeApiKeyDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
}

/** Revokes an API key. @throws InvalidAccessToken, InsufficientScope, NotFound */
export const makeRevokeApiKey =
  ({ db, authorize, audit }: RevokeApiKeyDeps) =>
  (principal: Principal, id: ApiKeyId, request: RequestInfo): Promise<void> =>
    db.transaction(async (tx) => {
      const authorized = await authorize(tx, principal);
      const key = await tx.apiKey.findUnique({ where: { id } });
      const ownerId = key ? parseId<UserId>(key.userId) : undefined;
      await requireOwnerOrAdmin(tx, authorized, { kind: 'api key', ownerId }, 'users:write');
      const { count } = await tx.apiKey.deleteMany({ where: { id } });
      if (count === 0) throw new NotFound('api key');
      await audit.record(tx, request, { type: 'api_key.revoked', actor: principal, userId: ownerId, apiKeyId: id });
    });
