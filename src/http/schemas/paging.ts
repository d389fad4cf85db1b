import { z } from 'zod';
import { toId } from '../../lib/ids.ts';

/** The query of a list: `limit` and `cursor`. */
export const pageQuery = <Cursor extends z.ZodType>(cursor: Cursor) =>
  z.object({
    limit: z
      .string()
      .regex(/^(100|[1-9]\d?)$/, { error: 'must be a whole number from 1 to 100' })
      .default('20')
      .transform(Number)
      .meta({ description: 'Maximum number of entries', type: 'integer', minimum: 1, maximum: 100, default: 20 }),
    cursor: cursor.optional().meta({ description: '`next_cursor` of the previous page' }),
  });

/** The response member that leads to the next page. */
export const nextCursor = z
  .string()
  .nullable()
  .meta({ description: 'The `cursor` of the next page; null on the last page' });

/** A UUID in a path, query or cursor, as the branded id. */
export const uuidOf = <Id extends string>() => z.uuid().transform((uuid) => toId<Id>(uuid));

/** Refinement for a change whose members are all optional: at least one must be present. Document it with `minProperties: 1`. */
export const hasChanges = [
  (change: object): boolean => Object.keys(change).length > 0,
  { error: 'must contain at least one change' },
] as const;
