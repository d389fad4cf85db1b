// Asserts that openapi.yaml documents status, content type and body of every response that a test receives.
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formatsModule from 'ajv-formats';
import type { Response } from 'supertest';
import { parse } from 'yaml';

interface Operation {
  responses: Record<string, { content?: Record<string, unknown> }>;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
}

const document = parse(readFileSync('openapi.yaml', 'utf8')) as Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
(formatsModule as unknown as (instance: Ajv2020) => void)(ajv);
ajv.addSchema(document, 'openapi');

const templates = Object.keys(document.paths).map((template) => ({
  template,
  pattern: new RegExp(`^${template.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
}));

const escape = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
const validators = new Map<string, ValidateFunction>();

function validatorFor(pointer: string): ValidateFunction {
  const known = validators.get(pointer) ?? ajv.compile({ $ref: `openapi#${pointer}` });
  validators.set(pointer, known);
  return known;
}

/** @throws if openapi.yaml does not document the response. Ignores unknown paths and methods (404 and 405). */
export function expectDocumented(method: string, url: string, response: Response): void {
  const path = url.split('?')[0] ?? url;
  const template = templates.find(({ pattern }) => pattern.test(path))?.template;
  const operation = template === undefined ? undefined : document.paths[template]?.[method];
  if (template === undefined || !operation) return;
  const where = `${method.toUpperCase()} ${template} returned ${response.status}`;
  const documented = operation.responses[response.status];
  if (!documented) throw new Error(`${where}, which openapi.yaml does not know: ${response.text}`);
  if (!documented.content) {
    if (response.text) throw new Error(`${where} with a body: ${response.text}`);
    return;
  }
  const type = (response.headers['content-type'] ?? '').split(';')[0] ?? '';
  if (!(type in documented.content)) throw new Error(`${where} as ${type}, which openapi.yaml does not know`);
  if (!type.endsWith('json')) return;
  const pointer = ['', 'paths', template, method, 'responses', String(response.status), 'content', type, 'schema'];
  const validate = validatorFor(pointer.map(escape).join('/'));
  const body: unknown = JSON.parse(response.text);
  if (!validate(body)) throw new Error(`${where}: ${ajv.errorsText(validate.errors)} in ${response.text}`);
}
