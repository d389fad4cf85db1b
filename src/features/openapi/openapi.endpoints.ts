import { stringify } from 'yaml';
import { z } from 'zod';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';

export type OpenApiDocument = Record<string, unknown>;

const headers = { 'Cache-Control': 'public, max-age=300' };
const tag = 'Operations';

/** Also writes `openapi.yaml`. */
export const toYaml = (document: OpenApiDocument): string =>
  stringify(document, { aliasDuplicateObjects: false, compat: 'yaml-1.1' });

/** `document` is called on the first request, because the document also describes these two endpoints. */
export function openApiEndpoints(document: () => OpenApiDocument): Endpoint[] {
  let [json, yaml]: [OpenApiDocument?, string?] = [];
  return [
    endpoint({
      method: 'get',
      path: '/openapi.json',
      operationId: 'getOpenapiJson',
      tag,
      summary: 'Get this document as JSON',
      response: z
        .record(z.string(), z.unknown())
        .meta({ description: 'An OpenAPI 3.1 document', examples: [{ openapi: '3.1.0' }] }),
      headers,
      publicCors: true,
      cacheable: true,
      handle: () => (json ??= document()),
    }),
    endpoint({
      method: 'get',
      path: '/openapi.yaml',
      operationId: 'getOpenapiYaml',
      tag,
      summary: 'Get this document as YAML',
      response: z.string().meta({ description: 'An OpenAPI 3.1 document', examples: ['openapi: 3.1.0'] }),
      contentType: 'application/yaml; charset=utf-8',
      headers,
      publicCors: true,
      cacheable: true,
      handle: () => (yaml ??= toYaml(document())),
    }),
  ];
}
