// The operations of openapi.yaml, so that existing tests cover a new one.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

type Json = Record<string, unknown>;

interface Shape {
  properties?: Record<string, { type?: string | string[] }>;
  required?: string[];
}

interface Content {
  schema: { $ref?: string } & Shape;
  example?: Json;
}

interface Documented {
  operationId: string;
  security?: unknown[];
  requestBody?: { content: Record<string, Content> };
  responses: Record<string, { content?: Record<string, { examples?: Record<string, { value: Json }> }> }>;
}

interface Document {
  paths: Record<string, Record<string, Documented>>;
  components: { schemas: Record<string, Shape> };
}

export interface Operation {
  id: string;
  method: string;
  /** With sample values for its parameters. */
  path: string;
  template: string;
  needsToken: boolean;
  /** The scope that the token must have. */
  scope: string | undefined;
  /** A valid body, the types of its members, and the required members. */
  body: { example: Json; members: string[]; types: Record<string, string[]>; required: string[] } | undefined;
  statuses: number[];
  /** The documented problem codes. */
  codes: string[];
}

const document = parse(readFileSync('openapi.yaml', 'utf8')) as Document;

const madeUp: Record<string, string> = {
  '{code}': 'not-found',
  '{kid}': '3s6QkUxWYvXAGlmVlW2hn1gTpFvQZ1vQ0m7bW4Zk9xE',
  '{name}': 'editor',
  '{key_id}': '0197a1b0-7a11-7d02-8f4e-2c9b1d3e4f50',
  '{id}': '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11',
};

function shapeOf({ $ref, ...inPlace }: Content['schema']) {
  const { properties = {}, required = [] } = document.components.schemas[$ref?.split('/').at(-1) ?? ''] ?? inPlace;
  const types = Object.entries(properties).map(([name, { type = [] }]) => [name, [type].flat()] as const);
  return { members: Object.keys(properties), types: Object.fromEntries(types), required };
}

export const operations: Operation[] = Object.entries(document.paths).flatMap(([template, methods]) =>
  Object.entries(methods).map(([method, { operationId, security = [], requestBody, responses }]) => {
    const content = requestBody?.content['application/json'];
    const problems = Object.values(responses).map((response) => response.content?.['application/problem+json']);
    return {
      id: operationId,
      method: method.toUpperCase(),
      path: template.replace(/\{\w+\}/g, (parameter) => madeUp[parameter] ?? parameter),
      template,
      scope: security.map((requirement) => (requirement as Record<string, string[]>)['bearer']?.[0]).find(Boolean),
      needsToken:
        security.length > 0 &&
        security.every((requirement) => ['bearer', 'oauth2', 'apiKey'].some((name) => name in (requirement as object))),
      body: content && { example: content.example ?? {}, ...shapeOf(content.schema) },
      statuses: Object.keys(responses).map(Number),
      codes: problems.flatMap((problem) => Object.keys(problem?.examples ?? {})),
    };
  }),
);
