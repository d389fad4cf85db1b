import type { ApiKeySecrets } from '../../core/api-keys/api-keys.ts';
import type { Audit } from '../../core/audit/audit.ts';
import type { Authorization } from '../../core/authorization/authorize.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import { requireDelegable } from '../../core/authorization/rules.ts';
import { Conflict, ValidationFailed } from '../../core/errors.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { type Clock, isWithinTenYears } from '../../lib/clock.ts';
import { newId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';
import type { ApiKeyDetails } from './list-api-keys.ts';

export interface CreateApiKeyDeps {
  db: Database;
  authorize: Authorization['authorize'];
  audit: Audit;
  apiKeySecrets: ApiKeySecrets;
  clock: Clock;
}

export interface NewApiKey {
  name: string;
  scopes: string[];
  /** Null means never. */
  expiresAt: Date | null;
}

/** Bounds how long after a login a stolen access token can create an API key that outlives it. */
const maxLoginAgeSeconds = 600;
/** Includes expired keys. */
const maxKeysPerUser = 100;

/**
 * Creates an API key and returns it with its secret, which is not stored.
 * @throws InvalidAccessToken, InsufficientUserAuthentication, InsufficientScope, ValidationFailed, Conflict
 */
export const makeCreateApiKey =
  ({ db, authorize, audit, apiKeySecrets, clock }: CreateApiKeyDeps) =>
  (
    principal: Principal,
    { name, scopes, expiresAt }: NewApiKey,
    request: RequestInfo,
  ): Promise<{ key: ApiKeyDetails; secret: string }> =>
    db.transaction(async (tx) => {
      const { userId, nowMs } = await authorize(tx, principal, { maxAuthAgeSeconds: maxLoginAgeSeconds });
      requireDelegable(principal, scopes);
      if (expiresAt) requireExpiry(expiresAt.getTime(), nowMs);
      if ((await tx.apiKey.count({ where: { userId } })) >= maxKeysPerUser)
        throw new Conflict(`You already have ${maxKeysPerUser} API keys. Revoke one first.`, 'too many api keys');
      const { id, hash, text: secret } = apiKeySecrets.draw(newId(clock.nowMs()));
      const key = await tx.apiKey.create({
        data: { id, userId, name, scopes, secretHash: Uint8Array.from(hash), expiresAt },
      });
      await audit.record(tx, request, { type: 'api_key.created', actor: principal, userId, apiKeyId: id });
      return { key, secret };
    });

function requireExpiry(ms: number, nowMs: number): void {
  if (ms > nowMs && isWithinTenYears(ms, nowMs)) return;
  const message = ms <= nowMs ? 'must be in the future' : 'must be at most ten years ahead';
  throw new ValidationFailed([{ path: 'expires_at', message }]);
}
