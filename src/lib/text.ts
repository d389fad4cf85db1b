import { z } from 'zod';

/** Counts code points rather than UTF-16 units (NIST SP 800-63B-4 section 3.1.1.2). */
export const countCodePoints = (text: string): number => Array.from(text).length;

/** Text that Postgres can store: no NUL and no unpaired surrogates, which UTF-8 cannot encode. */
export const unicodeText = () =>
  z.string().refine((value) => value.isWellFormed() && !value.includes('\0'), {
    error: 'must be valid Unicode text without NUL',
  });

/** An RFC 3339 date and time. `t` and `z` can be lower case (section 5.6). */
export const Timestamp = z
  .string()
  .transform((text) => text.toUpperCase())
  .pipe(z.iso.datetime({ offset: true, error: 'must be an RFC 3339 date and time' }))
  .transform((text) => new Date(text))
  .meta({ format: 'date-time' });
