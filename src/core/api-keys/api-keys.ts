import type { ApiKeyId, UserId } from '../../lib/ids.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import type { ApiKeyPrincipal, ApiKeySubject } from '../authorization/principal.ts';
import { makeOpaqueTokens, type OpaqueTokens } from '../tokens/opaque-token.ts';
import { type LiveApiKey, useApiKeyBySecret, useApiKeyByToken } from './api-keys.sql.ts';

/** The secrets of API keys: `ktk_…` */
export type ApiKeySecrets = OpaqueTokens<ApiKeyId>;

export const makeApiKeySecrets = (masterKeys: MasterKeys): ApiKeySecrets => makeOpaqueTokens('ktk_', masterKeys);

/** Finds a live API key and records its use. Undefined if the key or its owner is not active, or the owner could not log in. */
export interface FindApiKey {
  /** By the value of `X-API-Key`. Forged secrets cost no query. */
  bySecret: (secret: string) => Promise<ApiKeyPrincipal | undefined>;
  /** By a verified access token, unless it was revoked. */
  byToken: (subject: ApiKeySubject) => Promise<ApiKeyPrincipal | undefined>;
}

const principalOf = (key: LiveApiKey | undefined): ApiKeyPrincipal | undefined => {
  if (!key) return undefined;
  const { id: apiKeyId, userId, scopes, tokenEpochMs } = key;
  return { userId, apiKeyId, sessionId: undefined, authTime: undefined, scopes, tokenEpochMs };
};

export interface FindApiKeyDeps {
  db: Database;
  secrets: ApiKeySecrets;
  /** Whether the email address of the owner must be verified, as at a login. */
  requiresVerifiedEmail: boolean;
}

export const makeFindApiKey = ({ db, secrets, requiresVerifiedEmail }: FindApiKeyDeps): FindApiKey => {
  const accept = (key: LiveApiKey | undefined) =>
    requiresVerifiedEmail && !key?.emailVerified ? undefined : principalOf(key);
  return {
    async bySecret(secret) {
      const token = secrets.parse(secret);
      return token && accept(await useApiKeyBySecret(db, token));
    },
    byToken: async (subject) => accept(await useApiKeyByToken(db, subject)),
  };
};

/** Revokes every API key of a user. The transaction holds the user's lock. */
export async function revokeApiKeysOf(tx: Transaction, userId: UserId): Promise<void> {
  await tx.apiKey.deleteMany({ where: { userId } });
}
