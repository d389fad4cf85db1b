import type { UserId } from '../../lib/ids.ts';
import type { Transaction } from '../../platform/postgres.ts';
import { column, queryRows, sql, type SqlFragment } from '../../platform/sql.ts';
import { isLiveSession } from '../authorization/fragments.sql.ts';

export interface Unused {
  /** How long an account must be unused. */
  retentionSeconds: number;
}

/** Successful events of an unused account: anyone can register an address and request emails for it. */
const unusedTypes = ['account.registered', 'email.verification_asked', 'password.reset_asked'];

const isOlderThan = (time: SqlFragment, seconds: number) =>
  sql`${time} < clock_timestamp() - make_interval(secs => ${seconds})`;

/**
 * Whether a user `u` registered, never verified the email address and never did anything else, not even a refresh. The audit trail
 * shows it: without its event of the registration, an account is not unused. If the session of the registration is deleted already,
 * it is unknown whether it was refreshed, and the account is kept.
 */
const isUnused = ({ retentionSeconds }: Unused): SqlFragment => sql`
  NOT u.email_verified AND u.is_active AND ${isOlderThan(sql`u.created_at`, retentionSeconds)}
  AND NOT EXISTS (SELECT FROM user_roles AS r WHERE r.user_id = u.id AND r.role <> 'user')
  AND NOT EXISTS (SELECT FROM api_keys AS k WHERE k.user_id = u.id)
  AND NOT EXISTS (SELECT FROM one_time_tokens AS t WHERE t.user_id = u.id AND clock_timestamp() < t.expires_at)
  AND NOT EXISTS (SELECT FROM mails AS m WHERE m.user_id = u.id AND m.sent_at IS NULL AND m.failed_at IS NULL)
  AND NOT EXISTS (
    SELECT FROM sessions AS s WHERE s.user_id = u.id AND (${isLiveSession} OR s.generation > 0))
  AND NOT EXISTS (
    SELECT FROM audit_events AS e
    WHERE e.user_id = u.id AND e.outcome = 'success' AND e.type <> ALL (${unusedTypes}::text[]))
  AND EXISTS (
    SELECT FROM audit_events AS e
    WHERE e.user_id = u.id AND e.outcome = 'success' AND e.type = 'account.registered'
      AND (e.session_id IS NULL OR EXISTS (SELECT FROM sessions AS s WHERE s.id = e.session_id)))`;

const idColumns = { id: column.uuid<UserId>() };
type Ids = Promise<{ id: UserId }[]>;

/** The next unverified users by id. SQL for the partial index and the database's clock. */
export const findUnverifiedUsers = (tx: Transaction, afterId: string, retentionSeconds: number, limit: number): Ids =>
  queryRows(
    tx,
    idColumns,
    sql`
    SELECT u.id FROM users AS u
    WHERE NOT u.email_verified AND u.id > ${afterId}::uuid AND ${isOlderThan(sql`u.created_at`, retentionSeconds)}
    ORDER BY u.id LIMIT ${limit}`,
  );

/** Locks those of the users that are unused. Logins and verifications lock them as well. SQL for the row locks. */
export const lockUnusedAccounts = (tx: Transaction, ids: readonly UserId[], unused: Unused): Ids =>
  queryRows(
    tx,
    idColumns,
    sql`
    SELECT u.id FROM users AS u WHERE u.id = ANY (${ids}::uuid[]) AND ${isUnused(unused)} FOR UPDATE SKIP LOCKED`,
  );

/**
 * Deletes those of the locked users that are still unused, and returns them. SQL because this statement decides: it sees everything
 * that was committed before the lock, and what is not committed yet waits for the lock.
 */
export const deleteUnusedAccounts = (tx: Transaction, ids: readonly UserId[], unused: Unused): Ids =>
  queryRows(
    tx,
    idColumns,
    sql`DELETE FROM users AS u WHERE u.id = ANY (${ids}::uuid[]) AND ${isUnused(unused)} RETURNING u.id`,
  );
