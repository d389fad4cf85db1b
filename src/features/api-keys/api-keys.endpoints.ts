import { z } from 'zod';
import { ScopeName } from '../../core/authorization/scopes.ts';
import { clientIdOf } from '../../core/tokens/access-token.ts';
import { DisplayName } from '../../core/users/user.ts';
import { endpoint } from '../../http/endpoint.ts';
import { InsufficientScope } from '../../core/errors.ts';
import { pageQuery } from '../../http/schemas/paging.ts';
import type { ApiKeyId } from '../../lib/ids.ts';
import { InsufficientUserAuthentication, TooManyApiKeys } from './api-keys.errors.ts';
import type { ApiKeyRow } from './api-keys.store.ts';
import type { ApiKeys } from './api-keys.ts';

const ApiKeyIdText = z.uuid().transform((text) => text.toLowerCase() as ApiKeyId);

const members = {
  id: z.uuid().meta({ description: 'For this list' }),
  client_id: z.string().meta({ description: 'For `/token`; the `sub` and `client_id` claims of its access tokens' }),
  name: z.string().meta({ description: 'A name for people to read' }),
  scopes: z.array(z.string()).meta({ description: 'What it may do as long as its owner may' }),
  created_at: z.iso.datetime().meta({ description: 'When it was made' }),
  expires_at: z.iso.datetime().nullable().meta({ description: 'When it ends by itself; null: never' }),
  last_used_at: z.iso.datetime().nullable().meta({ description: 'When it was last used, to the minute; null: never' }),
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
      .meta({ description: 'Shown here and never again: keep it now' }),
  })
  .meta({
    id: 'CreatedApiKey',
    description: 'A new API key with its secret',
    examples: [{ ...example, last_used_at: null, client_secret: `ktk_${'A'.repeat(86)}` }],
  });

const ApiKeyList = z
  .object({
    api_keys: z.array(ApiKey).meta({ description: 'The newest first' }),
    next_cursor: z.string().nullable().meta({ description: 'The `cursor` of the next page; null at the end' }),
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
      .min(1, { error: 'must name at least one scope' })
      .max(100, { error: 'must name at most 100 scopes' })
      .transform((scopes) => [...new Set(scopes)].toSorted())
      .meta({ description: 'No wider than those of the access token that calls' }),
    expires_at: z.iso
      .datetime({ offset: true, error: 'must be an RFC 3339 date and time' })
      .transform((text) => new Date(text))
      .nullable()
      .default(null)
      .meta({ description: 'Left out: it ends only when it is revoked' }),
  })
  .meta({ id: 'CreateApiKeyRequest', examples: [{ name: 'Nightly report', scopes: ['profile'] }] });

const toApiKey = ({ id, name, scopes, createdAt, expiresAt, lastUsedAt }: ApiKeyRow) => ({
  id,
  client_id: clientIdOf(id),
  name,
  scopes,
  created_at: createdAt.toISOString(),
  expires_at: expiresAt?.toISOString() ?? null,
  last_used_at: lastUsedAt?.toISOString() ?? null,
});

const common = { tag: 'API keys', scopes: ['api-keys'] } as const;

export const apiKeysRoutes = ({ list, create, revoke }: ApiKeys) => [
  endpoint({
    ...common,
    method: 'get',
    path: '/api-keys',
    operationId: 'listApiKeys',
    summary: 'List your API keys, the newest first',
    query: pageQuery(ApiKeyIdText),
    response: ApiKeyList,
    async handle({ query, principal }) {
      const { keys, next } = await list(principal, query.cursor, query.limit);
      return { api_keys: keys.map(toApiKey), next_cursor: next ?? null };
    },
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/api-keys',
    operationId: 'createApiKey',
    summary: 'Make an API key',
    description:
      'Needs an access token of a login that is not older than 10 minutes (RFC 9470). The secret is in this answer and ' +
      'nowhere else.',
    body: CreateApiKeyRequest,
    response: CreatedApiKey,
    status: 201,
    errors: [InsufficientUserAuthentication, InsufficientScope, TooManyApiKeys],
    async handle({ body: { name, scopes, expires_at: expiresAt }, principal, request }) {
      const { key, secret } = await create(principal, { name, scopes, expiresAt }, request);
      return { ...toApiKey(key), client_secret: secret };
    },
  }),
  endpoint({
    ...common,
    method: 'delete',
    path: '/api-keys/:id',
    operationId: 'revokeApiKey',
    summary: 'Revoke an API key',
    description: 'Ends it at once. With `users:write`, anybody’s.',
    params: z.object({ id: ApiKeyIdText.meta({ description: 'As in the list' }) }),
    handle: ({ params, principal, request }) => revoke(principal, params.id, request),
  }),
];
