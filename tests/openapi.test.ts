import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formatsModule from 'ajv-formats';
import { parse } from 'yaml';
import { makeOpenApiYaml } from '../src/cli/openapi.ts';

type Json = { [member: string]: unknown };

interface Content {
  schema: Json;
  example?: unknown;
  examples?: Record<string, { summary?: string; value: unknown }>;
}

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters?: { name: string; description?: string; schema: Json }[];
  requestBody?: { content: Record<string, Content> };
  responses: Record<string, { description: string; content?: Record<string, Content> }>;
}

interface Document {
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
}

const text = readFileSync('openapi.yaml', 'utf8');
const document = parse(text) as Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
(formatsModule as unknown as (instance: Ajv2020) => void)(ajv);
ajv.addSchema(document, 'openapi');

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method })),
);

interface Place {
  where: string;
  schema: Json;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A schema and all schemas below it, with their paths. A `$ref` is not followed because its target is a root. */
function schemasBelow({ where, schema }: Place): Place[] {
  const named = ['properties', '$defs'].flatMap((keyword) =>
    Object.entries((schema[keyword] ?? {}) as Json).map(([name, below]) => ({
      where: `${where}/${name}`,
      schema: below,
    })),
  );
  const listed = ['anyOf', 'oneOf', 'allOf'].flatMap((keyword) =>
    ((schema[keyword] ?? []) as Json[]).map((below) => ({ where, schema: below })),
  );
  const single = ['items', 'additionalProperties'].flatMap((keyword) =>
    isObject(schema[keyword]) ? [{ where: `${where}/${keyword}`, schema: schema[keyword] }] : [],
  );
  return [{ where, schema }, ...[...named, ...listed, ...single].flatMap((below) => schemasBelow(below as Place))];
}

const contents = operations.flatMap(({ operationId, requestBody, responses }) => [
  ...Object.values(requestBody?.content ?? {}).map((content) => ({ where: `${operationId} request`, content })),
  ...Object.entries(responses).flatMap(([status, { content = {} }]) =>
    Object.values(content).map((inner) => ({ where: `${operationId} ${status}`, content: inner })),
  ),
]);
const roots: Place[] = [
  ...Object.entries(document.components.schemas).map(([where, schema]) => ({ where, schema })),
  ...contents.map(({ where, content }) => ({ where, schema: content.schema })),
  ...operations.flatMap(({ operationId, parameters = [] }) =>
    parameters.map(({ name, schema }) => ({ where: `${operationId} ${name}`, schema })),
  ),
];
const places = roots.flatMap(schemasBelow);

/** Compiles a schema whose references point into the document. */
const compile = (schema: Json) =>
  ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"openapi#/components/')) as Json);

test('openapi.yaml is up to date with the code', async () => {
  expect(await makeOpenApiYaml()).toBe(text);
});

test('Redocly reports no errors and no warnings', async () => {
  const env = { PATH: process.env['PATH'], REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const redocly = ['node_modules/@redocly/cli/bin/cli.js', 'lint', 'openapi.yaml', '--format=json'];
  const linter = spawn(process.execPath, redocly, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  linter.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const [code] = (await once(linter, 'close')) as [number];
  expect(JSON.parse(output.slice(output.indexOf('{')))).toMatchObject({
    totals: { errors: 0, warnings: 0, ignored: 0 },
    problems: [],
  });
  expect(code).toBe(0);
}, 30_000);

describe('each operation', () => {
  test('has a unique name, a summary and a described tag', () => {
    const names = operations.map(({ operationId }) => operationId);
    expect(names.filter((name, i) => !/^[a-z][A-Za-z]+$/.test(name) || names.indexOf(name) !== i)).toEqual([]);
    expect(
      operations.filter(({ summary }) => !/^[A-Z].{5,80}[^.]$/.test(summary)).map(({ summary }) => summary),
    ).toEqual([]);
    const tags = new Set(document.tags.filter(({ description }) => description).map(({ name }) => name));
    expect(operations.filter((operation) => operation.tags.length !== 1 || !tags.has(operation.tags[0] ?? ''))).toEqual(
      [],
    );
  });

  test('has examples of its request and all its responses', () => {
    const lacking = contents.filter(
      ({ content }) => content.example === undefined && Object.keys(content.examples ?? {}).length === 0,
    );
    expect(lacking.map(({ where }) => where)).toEqual([]);
  });

  test('describes its responses and parameters', () => {
    const parameters = operations.flatMap((operation) => operation.parameters ?? []);
    expect(parameters.filter(({ description }) => !description).map(({ name }) => name)).toEqual([]);
    const documented = operations.flatMap(({ responses }) => Object.values(responses));
    expect(documented.filter(({ description }) => !description)).toEqual([]);
  });
});

describe('each schema', () => {
  test('has a description, as do all its members', () => {
    const isMember = ({ where }: Place) =>
      places.some(
        ({ where: parent, schema }) =>
          isObject(schema['properties']) &&
          Object.keys(schema['properties']).some((name) => `${parent}/${name}` === where),
      );
    const named = new Set(Object.keys(document.components.schemas).filter((name) => !name.endsWith('Request')));
    const wanted = places.filter((place) => named.has(place.where) || isMember(place));
    expect(wanted.length).toBeGreaterThan(50);
    expect(wanted.filter(({ schema }) => !schema['$ref'] && !schema['description']).map(({ where }) => where)).toEqual(
      [],
    );
  });

  test('of a request rejects unknown members', () => {
    const requests = Object.entries(document.components.schemas).filter(([name]) => name.endsWith('Request'));
    expect(requests.length).toBeGreaterThan(3);
    expect(requests.filter(([, schema]) => schema['additionalProperties'] !== false).map(([name]) => name)).toEqual([]);
  });
});

test('each example matches its schema', () => {
  const ofContents = contents.flatMap(({ where, content: { schema, example, examples = {} } }) =>
    [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)].map(
      (value) => ({ where, schema, value }),
    ),
  );
  const ofSchemas = places.flatMap(({ where, schema }) =>
    ((schema['examples'] ?? []) as unknown[]).map((value) => ({ where, schema, value })),
  );
  expect(ofContents.length).toBeGreaterThan(50);
  expect(ofSchemas.length).toBeGreaterThan(5);
  const wrong = [...ofContents, ...ofSchemas].flatMap(({ where, schema, value }) => {
    const validate = compile(schema);
    return validate(value) ? [] : [`${where}: ${ajv.errorsText(validate.errors)}`];
  });
  expect(wrong).toEqual([]);
});
