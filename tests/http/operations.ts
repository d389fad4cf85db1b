// The operations of openapi.yaml, so that a new one is tested by the tests that are there.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

type Json = Record<string, unknown>;

interface Content {
  schema: { $ref?: string; properties?: Json };
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
  components: { schemas: Record<string, { properties?: Json }> };
}

export interface Operation {
  id: string;
  method: string;
  /** With made-up values for its parameters. */
  path: string;
  template: string;
  needsToken: boolean;
  /** A body that is right, and the names of all members; undefined where it takes none. */
  body: { example: Json; members: string[] } | undefined;
  statuses: number[];
  /** The codes of the problems that it names. */
  codes: string[];
}

const document = parse(readFileSync('openapi.yaml', 'utf8')) as Document;

const madeUp: Record<string, string> = { '{code}': 'not-found', '{id}': '0197a1b0-6f2f-7c1d-9a51-3a6c1f6e2b11' };

function membersOf({ $ref, properties }: Content['schema']): string[] {
  const named = document.components.schemas[$ref?.split('/').at(-1) ?? ''];
  return Object.keys(named?.properties ?? properties ?? {});
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
      needsToken:
        security.length > 0 && security.every((way) => 'bearer' in (way as object) || 'apiKey' in (way as object)),
      body: content && { example: content.example ?? {}, members: membersOf(content.schema) },
      statuses: Object.keys(responses).map(Number),
      codes: problems.flatMap((problem) => Object.keys(problem?.examples ?? {})),
    };
  }),
);
