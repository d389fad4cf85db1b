import { z } from 'zod';
import type { RefusalClass } from '../kernel/refusal.ts';
import { type Endpoint, refusalsOf } from './endpoint.ts';
import { problemUrl } from './problem.ts';
import { Problem } from './schemas.ts';

type Json = Record<string, unknown>;

export interface ApiInfo {
  title: string;
  version: string;
  description: string;
  serverUrl: string;
  tags: readonly { name: string; description: string }[];
}

/** Schemas that have an id become components; the rest stays in place. */
class Components {
  readonly schemas: Record<string, Json> = {};

  /** zod answers with `$defs` for whatever has an id, the schema itself too; they all move here. */
  add(schema: z.ZodType, io: 'input' | 'output'): Json {
    const converted = z.toJSONSchema(schema, { io, override: tidy });
    const relocated = JSON.stringify(converted).replaceAll('"#/$defs/', '"#/components/schemas/');
    const { $schema: _, $defs = {}, ...rest } = JSON.parse(relocated) as Json & { $defs?: Record<string, Json> };
    for (const [name, { id: __, ...definition }] of Object.entries($defs)) {
      this.schemas[name] = io === 'input' ? wordDefaults(definition) : definition;
    }
    return rest;
  }
}

/** Generators of clients make a member with a default one that must be sent, so the default stands in words. */
function wordDefaults({ properties = {}, ...definition }: Json): Json {
  const worded = Object.entries(properties as Record<string, Json>).map(([name, { default: preset, ...member }]) => {
    const description = `${String(member['description'])}; \`${String(preset)}\` where it is left out`;
    return [name, preset === undefined ? member : { ...member, description }];
  });
  return { type: definition['type'], properties: Object.fromEntries(worded), ...definition };
}

/** zod writes out a pattern for each format that it checks itself; readers and generators know the format. */
function tidy({ jsonSchema }: { jsonSchema: Json }): void {
  if ('format' in jsonSchema || jsonSchema['type'] === 'integer') delete jsonSchema['pattern'];
  if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum'];
  if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum'];
}

const responseHeaders = { 'X-Request-Id': { $ref: '#/components/headers/XRequestId' } };
const challengeHeaders = { 'WWW-Authenticate': { $ref: '#/components/headers/WWWAuthenticate' } };
const limitHeaders = {
  RateLimit: { $ref: '#/components/headers/RateLimit' },
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
};
const retryHeaders = { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };

function problemExample({ kind }: RefusalClass, serverUrl: string): Json {
  const { code, challenges: _, ...rest } = kind;
  const errors =
    code === 'validation_failed' ? { errors: [{ path: 'email', message: 'must be an e-mail address' }] } : {};
  const instance = '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11';
  return { summary: kind.title, value: { type: problemUrl(serverUrl, code), ...rest, instance, code, ...errors } };
}

/** One response a status: its problems' codes, and an example of each. */
function problemResponses(refusals: readonly RefusalClass[], serverUrl: string): Record<string, Json> {
  const statuses = [...new Set(refusals.map(({ kind }) => kind.status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const same = refusals.filter(({ kind }) => kind.status === status);
      return [status, problemResponse(status, same, serverUrl)];
    }),
  );
}

const codeOf = (refusals: readonly RefusalClass[]): Json => ({
  type: 'string',
  description: 'Stable; what programs decide by',
  enum: refusals.map(({ kind }) => kind.code),
});

function problemResponse(status: number, same: readonly RefusalClass[], serverUrl: string): Json {
  return {
    description: same.map(({ kind }) => `\`${kind.code}\`: ${kind.title}`).join('; '),
    headers: {
      ...responseHeaders,
      ...(same.some(({ kind }) => kind.challenges) ? challengeHeaders : {}),
      ...([423, 429, 503].includes(status) ? retryHeaders : {}),
      ...(status === 429 ? limitHeaders : {}),
    },
    content: {
      'application/problem+json': {
        schema: { allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: codeOf(same) } }] },
        examples: Object.fromEntries(same.map((refusal) => [refusal.kind.code, problemExample(refusal, serverUrl)])),
      },
    },
  };
}

function parameters(endpoint: Endpoint, components: Components): Json[] {
  const list = (schema: z.ZodType | undefined, place: 'path' | 'query') => {
    if (!schema) return [];
    const { properties, required } = components.add(schema, 'input') as { properties: Json; required?: string[] };
    return Object.entries(properties).map(([name, shape]) => {
      const { description, ...rest } = shape as Json;
      return {
        name,
        in: place,
        required: place === 'path' || required?.includes(name) === true,
        description,
        schema: rest,
      };
    });
  };
  return [...list(endpoint.params, 'path'), ...list(endpoint.query, 'query')];
}

const exampleOf = (schema: z.ZodType): unknown => (schema.meta()?.['examples'] as unknown[] | undefined)?.[0];

function success(endpoint: Endpoint, components: Components): Record<string, Json> {
  const { reply, replyType = 'application/json', cacheable, limit } = endpoint;
  const headers = { ...responseHeaders, ...(limit === 'none' ? {} : limitHeaders) };
  const status = endpoint.status ?? (reply ? 200 : 204);
  if (!reply) return { [status]: { description: 'Done', headers } };
  const example = exampleOf(reply);
  const content = { schema: components.add(reply, 'output'), ...(example === undefined ? {} : { example }) };
  return {
    [status]: {
      description: 'Success',
      headers,
      content: { [replyType.split(';')[0] ?? replyType]: content },
    },
    ...(cacheable ? { 304: { description: 'Not modified: the copy that `If-None-Match` names is current' } } : {}),
  };
}

function operation(endpoint: Endpoint, components: Components, serverUrl: string): Json {
  const { body, needs, welcomes } = endpoint;
  const given = parameters(endpoint, components);
  const example = body && exampleOf(body);
  return {
    operationId: endpoint.operationId,
    tags: [endpoint.tag],
    summary: endpoint.summary,
    ...(endpoint.description ? { description: endpoint.description } : {}),
    security: needs ? [{ bearer: [needs] }] : welcomes ? [{}, { bearer: [welcomes] }] : [],
    ...(given.length > 0 ? { parameters: given } : {}),
    ...(body
      ? {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: components.add(body, 'input'), example } },
          },
        }
      : {}),
    responses: { ...success(endpoint, components), ...problemResponses(refusalsOf(endpoint), serverUrl) },
  };
}

/** The OpenAPI 3.1 document of the declared endpoints. */
export function makeOpenApi(endpoints: readonly Endpoint[], info: ApiInfo): Json {
  const components = new Components();
  components.add(Problem, 'output');
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints.filter(({ undocumented }) => !undocumented)) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method]: operation(endpoint, components, info.serverUrl) };
  }
  const { title, version, description, serverUrl, tags } = info;
  const license = { name: 'MIT', identifier: 'MIT' };
  return {
    openapi: '3.1.0',
    info: { title, version, description, license },
    servers: [{ url: serverUrl }],
    tags,
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token (RFC 9068)' },
      },
      headers: {
        XRequestId: { description: "The request's id; your own is kept", schema: { type: 'string' } },
        WWWAuthenticate: { description: 'The challenge (RFC 6750 section 3)', schema: { type: 'string' } },
        RateLimit: {
          description:
            'What is left of the limit, and seconds until it is whole again (draft-ietf-httpapi-ratelimit-headers)',
          schema: { type: 'string', examples: ['"login"; r=19; t=900'] },
        },
        RateLimitPolicy: {
          description: 'The limit: how many in a window of how many seconds, counted for whom',
          schema: { type: 'string', examples: ['"login"; q=20; w=900; pk=:YTM0NWQ3ZjFmYzMx:'] },
        },
        RetryAfter: { description: 'Seconds to wait', schema: { type: 'integer', minimum: 1 } },
      },
      schemas: Object.fromEntries(Object.entries(components.schemas).sort(([a], [b]) => a.localeCompare(b))),
    },
  };
}
