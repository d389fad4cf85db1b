import type { z } from 'zod';
import type { Fault } from './refusals.ts';

const mostFaults = 100;

/** What a schema found wrong, by member; of `part` where it is the whole. No value is repeated. */
export function faultsOf(part: string, error: z.ZodError): Fault[] {
  return error.issues
    .flatMap(({ path, message, ...issue }): Fault[] =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: [...path, key.slice(0, 64)].join('.'), message: 'is not known' }))
        : [{ path: path.join('.') || part, message }],
    )
    .slice(0, mostFaults);
}
