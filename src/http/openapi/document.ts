import type { z } from 'zod';
import type { Endpoint } from '../endpoint.ts';
import { Problem } from '../schemas/problem.ts';
import { headers, type PasswordFlow, securitySchemes } from './components.ts';
import { customErrorResponses, errorsOf, problemResponses, successResponses } from './responses.ts';
import { Components, exampleOf, type Json } from './schemas.ts';

export interface ApiInfo {
  title: string;
  version: string;
  description: string;
  serverUrl: string;
  tags: readonly { name: string; description: string }[];
  passwordFlow?: PasswordFlow | undefined;
}

/** Builds the OpenAPI 3.1 document of the declared endpoints. */
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
  const schemas = Object.entries(components.schemas).sort(([a], [b]) => a.localeCompare(b));
  return {
    openapi: '3.1.0',
    info: { title, version, description, license },
    servers: [{ url: serverUrl }],
    tags,
    paths,
    components: {
      securitySchemes: securitySchemes(passwordFlow),
      headers,
      schemas: Object.fromEntries(schemas),
    },
  };
}

const bodyTypes = { json: 'application/json', form: 'application/x-www-form-urlencoded' };

function operation(endpoint: Endpoint, components: Components, info: ApiInfo): Json {
  const { body, bodyType = 'json', optionalBody, refreshCookie, errorFormat } = endpoint;
  const parameters = parametersOf(endpoint, components);
  const example = body && exampleOf(body);
  return {
    operationId: endpoint.operationId,
    tags: [endpoint.tag],
    summary: endpoint.summary,
    ...(endpoint.description ? { description: endpoint.description } : {}),
    security: securityOf(endpoint, info),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: !optionalBody && refreshCookie !== 'alternative',
            content: { [bodyTypes[bodyType]]: { schema: components.add(body, 'input'), example } },
          },
        }
      : {}),
    responses: {
      ...successResponses(endpoint, components),
      ...(errorFormat
        ? customErrorResponses(errorsOf(endpoint), errorFormat, components)
        : problemResponses(errorsOf(endpoint), info.serverUrl)),
    },
  };
}

function parametersOf(endpoint: Endpoint, components: Components): Json[] {
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

/** The alternative ways to authenticate. `{}` is none. */
function securityOf(
  { scopes, optionalAuth, refreshCookie, clientAuthentication }: Endpoint,
  { passwordFlow }: ApiInfo,
): Json[] {
  if (clientAuthentication === 'optional') return [{}, { clientBasic: [] }];
  if (clientAuthentication === 'required') return [{ clientBasic: [] }, { bearer: [] }, { apiKey: [] }];
  if (refreshCookie === 'required') return [{ refreshCookie: [] }];
  if (refreshCookie === 'alternative') return [{}, { refreshCookie: [], csrfToken: [] }];
  if (scopes) return [{ bearer: scopes }, ...(passwordFlow ? [{ oauth2: scopes }] : []), { apiKey: [] }];
  return optionalAuth ? [{}, { bearer: [optionalAuth] }] : [];
}
