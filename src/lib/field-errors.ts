import type { z } from 'zod';
import type { FieldError } from './errors.ts';

const maxFieldErrors = 100;

/** Converts a schema's issues to field errors. `part` is the path of issues with the whole value. */
export function fieldErrorsOf(part: string, error: z.ZodError): FieldError[] {
  const unknown = part === 'query' ? 'is not a query parameter of this operation' : 'is unknown';
  return error.issues
    .flatMap(({ path, message, ...issue }): FieldError[] =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: [...path, key.slice(0, 64)].join('.'), message: unknown }))
        : [{ path: path.join('.') || part, message }],
    )
    .slice(0, maxFieldErrors);
}
