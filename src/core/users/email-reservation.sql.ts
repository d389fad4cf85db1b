import type { UserId } from '../../lib/ids.ts';
import { sql, type SqlFragment } from '../../platform/sql.ts';

/**
 * Whether an email address is reserved for a user, other than `exceptFor`, who changed it recently and can still undo the change.
 * After taking an address, check this in another statement: only then is a concurrent change visible.
 */
export const isReservedEmail = (
  email: string | SqlFragment,
  exceptFor: UserId | null = null,
): SqlFragment => sql`EXISTS (
  SELECT FROM one_time_tokens AS t
  WHERE t.purpose = 'email_undo' AND t.email = ${email} AND clock_timestamp() < t.expires_at
    AND t.user_id IS DISTINCT FROM ${exceptFor}::uuid)`;
