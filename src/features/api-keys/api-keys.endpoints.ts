import { z } from 'zod';
import { ScopeName } from '../../core/authorization/scopes.ts';
import { Conflict, InsufficientUserAuthentication } from '../../core/errors.ts';
import { clientIdOf } from '../../core/tokens/access-token.ts';
import { DisplayName } from '../../core/users/user.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { nextCursor, pageQuery, uuidOf } from '../../http/schemas/paging.ts';
import type { ApiKeyId, UserId } from '../../lib/ids.ts';
import type { Page } from '../../lib/page.ts';
import { sortedUnique } from '../../lib/sets.ts';
import { Timestamp } from '../../lib/text.ts';
import { type CreateApiKeyDeps, makeCreateApiKey } from './create-api-key.ts';
import { type ApiKeyDetails, type ListApiKeysDeps, makeListApiKeys } from './list-api-keys.ts';
import { makeListUserApiKeys } from './list-user-api-keys.ts';
import { makeRevokeApiKey, type RevokeApiKeyDeps } from './revoke-api-key.ts';
import { makeRevokeUserApiKey } from './revoke-user-api-key.ts';

const members = {
  id: z.uuid().meta({ description: 'The id of the key, for `DELETE /api-keys/{id}`' }),
  client_id: z
    .string()
    .meta({ description: 'The client id for `/token`, and the `sub` and `client_id` claims of its access tokens' }),
  name: z.string().meta({ description: 'A name for people' }),
  scopes: z.array(z.string()).meta({ description: 'The scopes of the key, as long as its owner holds them' }),
  created_at: z.iso.datetime().meta({ description: 'When the key was created' }),
  expires_at: z.iso.datetime().nullable().meta({ description: 'When the key expires; null means never' }),
  last_used_at: z.iso
    .datetime()
    .nullable()
    .meta({ description: 'When the key was last used, to the minute; null means never' }),
};

const example = {
  id: '0197a1b0-7a11-7d02-8f4e-2c9b1d3e4f50',
  client_id: 'key_0197a1b0-7a11-7d02-8f4e-2c9b1d3e4f50',
  name: 'Nightly report',
  scopes: ['profile'],
  created_at: '2026-11-22T09:00:00.000Z',
  expires_at: null,
  last_used_at: '2026-11-22T10:15:00.000Z',
};

const ApiKey = z.object(members).meta({ id: 'ApiKey', description: 'A credential of a program', examples: [example] });

const CreatedApiKey = z
  .object({
    ...members,
    client_secret: z
      .string()
      .regex(/^ktk_[\w-]{86}$/)
      .meta({ description: 'Returned only once. Store it now' }),
  })
  .meta({
    id: 'CreatedApiKey',
    description: 'A new API key with its secret',
    examples: [{ ...example, last_used_at: null, client_secret: `ktk_${'A'.repeat(86)}` }],
  });

const ApiKeyList = z
  .object({
    api_keys: z.array(ApiKey).meta({ description: 'Newest first' }),
    next_cursor: nextCursor,
  })
  .meta({
    id: 'ApiKeyList',
    description: 'A page of API keys',
    examples: [{ api_keys: [example], next_cursor: null }],
  });

const CreateApiKeyRequest = z
  .strictObject({
    name: DisplayName,
    scopes: z
      .array(ScopeName)
      .min(1, { error: 'must contain at least one scope' })
      .max(100, { error: 'must contain at most 100 scopes' })
      .transform(sortedUnique)
      .meta({ description: 'Only scopes of the access token of this request' }),
    expires_at: Timestamp.nullable().default(null).meta({
      description:
        'When the key expires, at most ten years ahead. If omitted or null, the key is valid until it is revoked',
    }),
  })
  .meta({ id: 'CreateApiKeyRequest', examples: [{ name: 'Nightly report', scopes: ['profile'] }] });

const toApiKey = ({ id, name, scopes, createdAt, expiresAt, lastUsedAt }: ApiKeyDetails) => ({
  id,
  client_id: clientIdOf(id),
  name,
  scopes,
  created_at: createdAt.toISOString(),
  expires_at: expiresAt?.toISOString() ?? null,
  last_used_at: lastUsedAt?.toISOString() ?? null,
});

const common = { tag: 'API keys', scopes: ['api-keys'] } as const;
const administration = { tag: 'Administration' } as const;
const ofUser = { id: uuidOf<UserId>().meta({ description: 'The `id` of the user' }) };
const keyId = uuidOf<ApiKeyId>().meta({ description: 'The `id` of the API key' });

const toPageOfKeys = ({ rows, next }: Page<ApiKeyDetails>) => ({
  api_keys: rows.map(toApiKey),
  next_cursor: next?.id ?? null,
});

export function apiKeyEndpoints(deps: ListApiKeysDeps & CreateApiKeyDeps & RevokeApiKeyDeps): Endpoint[] {
  const listApiKeys = makeListApiKeys(deps);
  const createApiKey = makeCreateApiKey(deps);
  const revokeApiKey = makeRevokeApiKey(deps);
  const listUserApiKeys = makeListUserApiKeys(deps);
  const revokeUserApiKey = makeRevokeUserApiKey(deps);
  return [
    endpoint({
      ...common,
      method: 'get',
      path: '/api-keys',
      operationId: 'listApiKeys',
      summary: 'List your API keys, newest first',
      query: pageQuery(uuidOf<ApiKeyId>()),
      response: ApiKeyList,
      handle: async ({ query: { cursor, limit }, principal }) =>
        toPageOfKeys(await listApiKeys(principal, cursor, limit)),
    }),
    endpoint({
      ...common,
      method: 'post',
      path: '/api-keys',
      operationId: 'createApiKey',
      summary: 'Create an API key',
      description:
        'Requires an access token of a login in the last 10 minutes (RFC 9470). The secret is returned only in this response. If ' +
        'it is lost, find the key in `GET /api-keys`, revoke it and create another one.',
      body: CreateApiKeyRequest,
      response: CreatedApiKey,
      status: 201,
      errors: [InsufficientUserAuthentication, Conflict],
      async handle({ body: { name, scopes, expires_at: expiresAt }, principal, request }) {
        const { key, secret } = await createApiKey(principal, { name, scopes, expiresAt }, request);
        return { ...toApiKey(key), client_secret: secret };
      },
    }),
    endpoint({
      ...common,
      method: 'delete',
      path: '/api-keys/:id',
      operationId: 'revokeApiKey',
      summary: 'Revoke an API key',
      description:
        'Takes effect immediately. With the scope `users:write`, you can also revoke API keys of other users, unless they hold ' +
        'administrative scopes or the role `admin` and you do not.',
      params: z.object({ id: keyId }),
      handle: ({ params, principal, request }) => revokeApiKey(principal, params.id, request),
    }),
    endpoint({
      ...administration,
      scopes: ['users:read'],
      method: 'get',
      path: '/admin/users/:id/api-keys',
      operationId: 'listUserApiKeys',
      summary: 'List the API keys of an account, newest first',
      description: 'Secrets are not stored and never returned.',
      params: z.object(ofUser),
      query: pageQuery(uuidOf<ApiKeyId>()),
      response: ApiKeyList,
      handle: async ({ params: { id }, query: { cursor, limit }, principal }) =>
        toPageOfKeys(await listUserApiKeys(principal, id, cursor, limit)),
    }),
    endpoint({
      ...administration,
      scopes: ['users:write'],
      method: 'delete',
      path: '/admin/users/:id/api-keys/:key_id',
      operationId: 'revokeUserApiKey',
      summary: 'Revoke an API key of an account',
      description:
        'Takes effect immediately. Accounts with administrative scopes can be changed only by administrators who hold the same ' +
        'scopes, and holders of the role `admin` only by logged-in users who hold it.',
      params: z.object({ ...ofUser, key_id: keyId }),
      handle: ({ params: { id: userId, key_id: id }, principal, request }) =>
        revokeUserApiKey(principal, { userId, id }, request),
    }),
  ];
}
