import type { ApiKeySecrets } from '../../core/api-keys/api-keys.ts';
import { requireLive } from '../../core/authorization/rules.ts';
import type { Principal } from '../../core/authorization/principal.ts';
import type { RequestInfo } from '../../core/request-info.ts';
import { InsufficientScope, NotFound, ValidationFailed } from '../../core/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { type ApiKeyId, newId } from '../../lib/ids.ts';
import { InsufficientUserAuthentication, TooManyApiKeys } from './api-keys.errors.ts';
import type { ApiKeyRow, ApiKeysStore } from './api-keys.store.ts';

export interface ApiKeysDeps {
  store: ApiKeysStore;
  apiKeySecrets: ApiKeySecrets;
  clock: Clock;
}

export interface WantedApiKey {
  name: string;
  scopes: readonly string[];
  expiresAt: Date | null;
}

export interface ApiKeyPage {
  keys: ApiKeyRow[];
  /** Where the next page begins; undefined at the end. */
  next: ApiKeyId | undefined;
}

/** Each call acts on the caller's own keys. @throws InvalidAccessToken where the caller's session has ended */
export interface ApiKeys {
  list: (principal: Principal, before: ApiKeyId | undefined, limit: number) => Promise<ApiKeyPage>;
  /** @throws InsufficientUserAuthentication, InsufficientScope, ValidationFailed, TooManyApiKeys */
  create: (
    principal: Principal,
    wanted: WantedApiKey,
    request: RequestInfo,
  ) => Promise<{ key: ApiKeyRow; secret: string }>;
  /** @throws NotFound for what is somebody else's, too */
  revoke: (principal: Principal, id: ApiKeyId, request: RequestInfo) => Promise<void>;
}

/** A stolen access token is good for 15 minutes; what it makes must not outlive it by much. */
const freshLoginSeconds = 600;

export const makeApiKeys = ({ store, apiKeySecrets, clock }: ApiKeysDeps): ApiKeys => {
  /** A person has just logged in. An API key never has, so that no key makes another. */
  const requireFreshLogin = ({ authTime }: Principal): void => {
    if (authTime === undefined) throw new InsufficientUserAuthentication('an api key calls', freshLoginSeconds);
    if (clock.nowSeconds() - authTime >= freshLoginSeconds)
      throw new InsufficientUserAuthentication('the login is too old', freshLoginSeconds);
  };

  return {
    async list(principal, before, limit) {
      const rows = requireLive(await store.list(principal, before, limit + 1));
      const keys = rows.slice(0, limit);
      return { keys, next: rows.length > limit ? keys.at(-1)?.id : undefined };
    },

    async create(principal, { name, scopes, expiresAt }, request) {
      requireFreshLogin(principal);
      const wider = scopes.filter((scope) => !principal.scopes.includes(scope));
      if (wider.length > 0) throw new InsufficientScope(wider.join(' '), 'wider than the token');
      if (expiresAt && expiresAt.getTime() <= clock.nowMs())
        throw new ValidationFailed([{ path: 'expires_at', message: 'must lie in the future' }]);
      const { id, hash, text: secret } = apiKeySecrets.draw(newId(clock.nowMs()));
      const key = requireLive(
        await store.create(principal, { id, name, scopes, secretHash: hash, expiresAt }, request),
      );
      if (!key) throw new TooManyApiKeys();
      return { key, secret };
    },

    async revoke(principal, id, request) {
      if (!requireLive(await store.revoke(principal, id, request))) throw new NotFound('api key');
    },
  };
};
