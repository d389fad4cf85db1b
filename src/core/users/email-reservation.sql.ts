import { sql, type SqlFragment } from '../../platform/sql.ts';

/** Whether an email address is reserved for an account that changed it recently and can still undo the change. */
export const isReservedEmail = (email: string | SqlFragment): SqlFragment => sql`EXISTS (
  SELECT FROM one_time_tokens AS t
  WHERE t.purpose = 'email_undo' AND t.email = ${email} AND clock_timestamp() < t.expires_at)`;
