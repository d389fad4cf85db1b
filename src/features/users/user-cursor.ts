import { z } from 'zod';
import { uuidOf } from '../../http/schemas/paging.ts';
import type { UserId } from '../../lib/ids.ts';
import { fromBase64Url } from '../../lib/secrets.ts';
import { unicodeText } from '../../lib/text.ts';

/**
 * The last user of a page: of all users, of those that match by email address, or of those that match only by name. `key` is
 * the value that the page is sorted by.
 */
const Position = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('id'), id: uuidOf<UserId>() }),
  z.strictObject({ by: z.literal('email'), key: unicodeText() }),
  z.strictObject({ by: z.literal('name'), key: unicodeText(), id: uuidOf<UserId>() }),
]);
export type UserPosition = z.output<typeof Position>;

function parseJson(cursor: string): unknown {
  try {
    return JSON.parse(fromBase64Url(cursor)?.toString() ?? '');
  } catch {
    return undefined;
  }
}

export const formatCursor = (position: UserPosition): string =>
  Buffer.from(JSON.stringify(position)).toString('base64url');

/** Clients treat cursors as opaque. */
export const UserCursor = z
  .string()
  .max(2000, { error: 'must have at most 2000 characters' })
  .transform((cursor, context): UserPosition => {
    const { data } = Position.safeParse(parseJson(cursor));
    if (data) return data;
    context.addIssue({ code: 'custom', message: 'must be the `next_cursor` of a page' });
    return z.NEVER;
  });
