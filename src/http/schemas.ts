import { z } from 'zod';

/** Text that Postgres can store: no NUL, and no half of a surrogate pair (which UTF-8 cannot write). */
export const text = () =>
  z.string().refine((value) => value.isWellFormed() && !value.includes('\0'), {
    error: 'must be valid Unicode text without NUL',
  });

export const Problem = z
  .object({
    type: z.string().meta({ description: 'A page about this kind of problem' }),
    title: z.string().meta({ description: 'The kind of problem in a few words' }),
    status: z.int().meta({ description: 'The HTTP status' }),
    detail: z.string().meta({ description: 'One sentence for people; the text may change' }),
    instance: z.string().meta({ description: "The request's id, as in `X-Request-Id` and in the service's log" }),
    code: z.string().meta({ description: 'Stable; what programs decide by' }),
    reason: z
      .enum(['expired', 'revoked', 'reused', 'unknown_session'])
      .optional()
      .meta({ description: 'Why a genuine refresh token was refused' }),
    checks: z.record(z.string(), z.string()).optional().meta({ description: 'What `/readyz` looked at' }),
    errors: z
      .array(
        z.object({
          path: z.string().meta({ description: 'The member, with dots between levels; a header; or the part' }),
          message: z.string().meta({ description: 'What is wrong with it; the text may change' }),
        }),
      )
      .optional()
      .meta({ description: 'Every fault of the request, where the code is `validation_failed`' }),
  })
  .meta({ id: 'Problem', description: 'What went wrong (RFC 9457)' });

/** `limit` and `cursor` of a list; what a cursor is, the list says. */
export const pageQuery = <Cursor extends z.ZodType>(cursor: Cursor) =>
  z.object({
    limit: z
      .string()
      .regex(/^(100|[1-9]\d?)$/, { error: 'must be a whole number from 1 to 100' })
      .default('20')
      .transform(Number)
      .meta({ description: 'At most so many', type: 'integer', minimum: 1, maximum: 100, default: 20 }),
    cursor: cursor.optional().meta({ description: '`next_cursor` of the page before' }),
  });

/** For a change whose members may all be left out: one must be there. Its document says so by `minProperties: 1`. */
export const namesSomething = (change: object): boolean => Object.keys(change).length > 0;
export const nothingNamed = { error: 'must name something to change' };
