import type { Principal } from '../authorization/principal.ts';
import type { FindApiKey } from '../../http/authenticate.ts';
import type { ApiKeyId } from '../../lib/ids.ts';
import type { Database } from '../../platform/postgres.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import { makeOpaqueTokens, type OpaqueTokens } from '../tokens/opaque-token.ts';
import { type LiveApiKey, useApiKey, useApiKeyByToken } from './api-keys.store.ts';

/** The secrets of API keys: `ktk_…` */
export type ApiKeySecrets = OpaqueTokens<ApiKeyId>;

export const makeApiKeySecrets = (masterKeys: MasterKeys): ApiKeySecrets => makeOpaqueTokens('ktk_', masterKeys);

const callerOf = (key: LiveApiKey | undefined): Principal | undefined =>
  key && { userId: key.userId, apiKeyId: key.id, sessionId: undefined, authTime: undefined, scopes: key.scopes };

/** Makes no query for a secret that this service did not make. */
export const makeFindApiKey = (db: Database, secrets: ApiKeySecrets): FindApiKey => ({
  async bySecret(secret) {
    const token = secrets.parse(secret);
    return token && callerOf(await useApiKey(db, token));
  },
  byToken: async (bearer) => callerOf(await useApiKeyByToken(db, bearer)),
});
