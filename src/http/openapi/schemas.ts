import { z } from 'zod';

export type Json = Record<string, unknown>;

/** Collects the schemas with an id as components. */
export class Components {
  readonly schemas: Record<string, Json> = {};

  /** Converts a schema to JSON Schema. zod puts every schema with an id under `$defs`; they move to the components. */
  add(schema: z.ZodType, io: 'input' | 'output'): Json {
    const converted = z.toJSONSchema(schema, { io, override: simplify });
    const relocated = JSON.stringify(converted).replaceAll('"#/$defs/', '"#/components/schemas/');
    const { $schema: _, $defs = {}, ...rest } = JSON.parse(relocated) as Json & { $defs?: Record<string, Json> };
    for (const [name, { id: __, ...definition }] of Object.entries($defs)) {
      this.schemas[name] = io === 'input' ? describeDefaults(definition) : definition;
    }
    return rest;
  }
}

/** Moves defaults to the descriptions: some client generators make members with a default mandatory. */
function describeDefaults({ properties = {}, ...definition }: Json): Json {
  const described = Object.entries(properties as Record<string, Json>).map(([name, { default: value, ...member }]) => {
    const shown = value === '' ? 'empty' : `\`${String(value)}\``;
    const description = `${String(member['description'])}. Default: ${shown}`;
    return [name, value === undefined ? member : { ...member, description }];
  });
  return { type: definition['type'], properties: Object.fromEntries(described), ...definition };
}

/** Writes nullable types as `type: [x, 'null']`: client generators make better types of it than of a union. */
function simplifyNullable(jsonSchema: Json): void {
  const [type, other, ...rest] = (jsonSchema['anyOf'] ?? []) as Json[];
  if (!type || other?.['type'] !== 'null' || rest.length > 0 || typeof type['type'] !== 'string') return;
  delete jsonSchema['anyOf'];
  Object.assign(jsonSchema, { ...type, ...jsonSchema, type: [type['type'], 'null'] });
}

/** Removes what zod adds for its own checks: the patterns of formats, and the bounds of safe integers. */
function simplify({ jsonSchema }: { jsonSchema: Json }): void {
  simplifyNullable(jsonSchema);
  if ('format' in jsonSchema || jsonSchema['type'] === 'integer') delete jsonSchema['pattern'];
  if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum'];
  if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum'];
}

export const exampleOf = (schema: z.ZodType): unknown => (schema.meta()?.['examples'] as unknown[] | undefined)?.[0];
