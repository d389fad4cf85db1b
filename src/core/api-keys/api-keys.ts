import { type ApiKeyId, idToBytes, type UserId } from '../../lib/ids.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import type { Database, Transaction } from '../../platform/postgres.ts';
import type { Audit, AuditEvent } from '../audit/audit.ts';
import type { ApiKeyPrincipal, ApiKeySubject } from '../authorization/principal.ts';
import type { ApiKeysNotice } from '../email/email-message.ts';
import type { RequestSource } from '../request-info.ts';
import { makeOpaqueTokens, type OpaqueTokens } from '../tokens/opaque-token.ts';
import {
  deleteApiKeysOf,
  type LiveApiKey,
  type NamedApiKey,
  useApiKeyBySecret,
  useApiKeyByToken,
} from './api-keys.sql.ts';

/** The secrets of API keys: `ktk_…` */
export type ApiKeySecrets = OpaqueTokens<ApiKeyId>;

const prefix = 'ktk_';

export const makeApiKeySecrets = (masterKeys: MasterKeys): ApiKeySecrets => makeOpaqueTokens(prefix, masterKeys);

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

/** Why all API keys of a user were revoked together. Recorded in the audit trail. */
export type RevokedKeysReason =
  'password_changed' | 'password_reset' | 'email_change_undone' | 'logout_all' | 'ended_by_admin' | 'reclaimed';

/** Revokes every API key of a user and records each. The transaction holds the user's lock. Returns the keys, newest first. */
export async function revokeApiKeysOf(
  tx: Transaction,
  audit: Audit,
  source: RequestSource | 'system',
  { userId, reason, actor }: Pick<AuditEvent, 'actor'> & { userId: UserId; reason: RevokedKeysReason },
): Promise<NamedApiKey[]> {
  const keys = (await deleteApiKeysOf(tx, userId)).toSorted((a, b) => b.id.localeCompare(a.id));
  const event = { type: 'api_key.revoked', reason, userId, ...(actor && { actor }) } as const;
  for (const { id: apiKeyId } of keys) await audit.record(tx, source, { ...event, apiKeyId });
  return keys;
}

/** The beginning of a key's secret, by which its owner can recognize it. It is part of the id and not secret. */
const secretPrefixOf = (id: ApiKeyId): string => `${prefix}${idToBytes(id).toString('base64url').slice(0, 12)}`;

/** What an email says about the API keys of its recipient. */
export const apiKeysNotice = (keys: readonly NamedApiKey[], areRevoked: boolean): ApiKeysNotice => ({
  areRevoked,
  keys: keys.map(({ id, name }) => ({ name, prefix: secretPrefixOf(id) })),
});
