import { z } from 'zod';
import { type Endpoint, errorsOf } from '../endpoint.ts';
import { problemResponses, customErrorResponses, success } from './responses.ts';
import { Components, exampleOf, type Json } from './schemas.ts';
import { Problem } from '../schemas/problem.ts';

export interface ApiInfo {
  title: string;
  version: string;
  description: string;
  serverUrl: string;
  tags: readonly { name: string; description: string }[];
  /** What a page's own login needs to know; undefined where the password grant is off. */
  passwordFlow?: { tokenUrl: string; scopes: Readonly<Record<string, string>> } | undefined;
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

/** A way in a line; `{}` is without any. */
function security(
  { scopes, optionalAuth, refreshCookie, clientAuthentication }: Endpoint,
  { passwordFlow }: ApiInfo,
): Json[] {
  const byPassword = (required: readonly string[]) => (passwordFlow ? [{ oauth2: required }] : []);
  if (clientAuthentication === 'optional') return [{}, { clientBasic: [] }];
  if (clientAuthentication === 'required') return [{ clientBasic: [] }, { bearer: [] }, { apiKey: [] }];
  if (refreshCookie === 'required') return [{ refreshCookie: [] }];
  if (refreshCookie === 'alternative') return [{}, { refreshCookie: [], csrfToken: [] }];
  if (scopes) return [{ bearer: scopes }, ...byPassword(scopes), { apiKey: [] }];
  return optionalAuth ? [{}, { bearer: [optionalAuth] }] : [];
}

const bodyTypes = { json: 'application/json', form: 'application/x-www-form-urlencoded' };

function operation(endpoint: Endpoint, components: Components, info: ApiInfo): Json {
  const { body, bodyType = 'json', refreshCookie, errorFormat } = endpoint;
  const given = parameters(endpoint, components);
  const example = body && exampleOf(body);
  return {
    operationId: endpoint.operationId,
    tags: [endpoint.tag],
    summary: endpoint.summary,
    ...(endpoint.description ? { description: endpoint.description } : {}),
    security: security(endpoint, info),
    ...(given.length > 0 ? { parameters: given } : {}),
    ...(body
      ? {
          requestBody: {
            required: refreshCookie !== 'alternative',
            content: { [bodyTypes[bodyType]]: { schema: components.add(body, 'input'), example } },
          },
        }
      : {}),
    responses: {
      ...success(endpoint, components),
      ...(errorFormat
        ? customErrorResponses(errorsOf(endpoint), errorFormat, components)
        : problemResponses(errorsOf(endpoint), info.serverUrl)),
    },
  };
}

/** The OpenAPI 3.1 document of the declared endpoints. */
export function makeOpenApi(endpoints: readonly Endpoint[], info: ApiInfo): Json {
  const components = new Components();
  components.add(Problem, 'output');
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints.filter(({ undocumented }) => !undocumented)) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method]: operation(endpoint, components, info) };
  }
  const { title, version, description, serverUrl, tags, passwordFlow } = info;
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
        apiKey: {
          type: 'apiKey',
          in: 'header',
          name: 'X-API-Key',
          description: 'The secret of an API key, whose scopes must allow the call',
        },
        clientBasic: {
          type: 'http',
          scheme: 'basic',
          description: "An API key's `client_id` and `client_secret` (RFC 6749 section 2.3.1), or both in the form",
        },
        ...(passwordFlow
          ? {
              oauth2: {
                type: 'oauth2',
                description: 'An e-mail address and its password',
                flows: { password: passwordFlow },
              },
            }
          : {}),
        refreshCookie: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-refresh_token',
          description: 'Set by a login with `"transport": "cookie"`. The request needs an allowed `Origin`',
        },
        csrfToken: {
          type: 'apiKey',
          in: 'header',
          name: 'X-CSRF-Token',
          description: '`csrf_token` of the last answer, or of `GET /csrf`',
        },
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
