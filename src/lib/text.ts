import { z } from 'zod';

/** Counts code points rather than UTF-16 units (NIST SP 800-63B-4 section 3.1.1.2). */
export const countCodePoints = (text: string): number => Array.from(text).length;

/** Text that Postgres can store: no NUL and no unpaired surrogates, which UTF-8 cannot encode. */
export const unicodeText = () =>
  z.string().refine((value) => value.isWellFormed() && !value.includes('\0'), {
    error: 'must be valid Unicode text without NUL',
  });
