import { z } from 'zod';

export type Json = Record<string, unknown>;

/** Schemas that have an id become components; the rest stays in place. */
export class Components {
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

/** What may be null besides is one type with another name: generators make better types of that than of a union. */
function nameNull(jsonSchema: Json): void {
  const [kind, nothing, ...rest] = (jsonSchema['anyOf'] ?? []) as Json[];
  if (!kind || nothing?.['type'] !== 'null' || rest.length > 0 || typeof kind['type'] !== 'string') return;
  delete jsonSchema['anyOf'];
  Object.assign(jsonSchema, { ...kind, ...jsonSchema, type: [kind['type'], 'null'] });
}

/** zod writes out a pattern for each format that it checks itself; readers and generators know the format. */
function tidy({ jsonSchema }: { jsonSchema: Json }): void {
  nameNull(jsonSchema);
  if ('format' in jsonSchema || jsonSchema['type'] === 'integer') delete jsonSchema['pattern'];
  if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum'];
  if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum'];
}

export const exampleOf = (schema: z.ZodType): unknown => (schema.meta()?.['examples'] as unknown[] | undefined)?.[0];
