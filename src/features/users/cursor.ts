import { z } from 'zod';
import { unicodeText } from '../../lib/text.ts';
import type { UserId } from '../../lib/ids.ts';
import { fromBase64Url } from '../../lib/secrets.ts';
import type { Place } from './user-pages.store.ts';

const id = z.uuid().transform((value) => value as UserId);
const PlaceInList = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('id'), id }),
  z.strictObject({ by: z.literal('email'), key: unicodeText() }),
  z.strictObject({ by: z.literal('name'), key: unicodeText(), id }),
]);

function read(cursor: string): unknown {
  try {
    return JSON.parse(fromBase64Url(cursor)?.toString() ?? '');
  } catch {
    return undefined;
  }
}

export const formatCursor = (place: Place): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/** Where a page ended, in a form that clients only hand back. */
export const UserCursor = z
  .string()
  .max(2000, { error: 'must have at most 2000 characters' })
  .transform((cursor, context): Place => {
    const { data } = PlaceInList.safeParse(read(cursor));
    if (data) return data;
    context.addIssue({ code: 'custom', message: 'must be the next_cursor of a page' });
    return z.NEVER;
  });
